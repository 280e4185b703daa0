/*
 * Where sessions live that other loops and pods own: a small cache in front of
 * the records in Redis.
 *
 * An entry may be out of date for DIRECTORY_TTL_MS. That is harmless: a message
 * sent to a pod that no longer owns the session is passed on by that pod.
 */
#ifndef MCP_DIRECTORY_H
#define MCP_DIRECTORY_H

#include "common/client_traits.h"
#include "common/envelope.h"
#include "common/ident.h"
#include "common/redis.h"

#define DIRECTORY_TTL_MS 5000
#define DIRECTORY_ENTRIES_MAX 65536

struct directory;

struct directory_entry {
	char pod[POD_NAME_MAX + 1];
	char api[API_NAME_MAX + 1];  /* empty: all APIs */
	unsigned char user[SHA256_LEN];  /* whose session it is */
	struct client_traits client; /* what its client has said of itself */
	bool detached;               /* no stream: it waits for its client */
	uint64_t epoch;
	uint64_t since_ms;           /* wall clock: when the pod took it */
	/*
	 * Not empty: this session turned out to be that one, and what concerns it
	 * concerns the stream that has that one under alias_epoch.
	 */
	char alias[SID_LEN + 1];
	uint64_t alias_epoch;
};

enum directory_result {
	DIRECTORY_FOUND,
	DIRECTORY_UNKNOWN,   /* no such session in Redis */
	DIRECTORY_AWAY       /* Redis did not answer */
};

/* entry is set when found, and gone when this returns. */
typedef void directory_cb(enum directory_result result,
    const struct directory_entry *entry, void *arg);

struct directory *directory_new(struct redis *commands) MUST_CHECK;
void directory_free(struct directory *d);

/* The cached entry, or NULL; valid until the next turn of the event loop. */
const struct directory_entry *directory_find(struct directory *d,
    struct slice sid);
/* Applies a note (declaration.h) to what is cached of its client, if anything. */
void directory_hear(struct directory *d, struct slice sid, struct slice note);
/* Asks Redis and caches what it says. False: Redis is away, no callback. */
bool directory_fetch(struct directory *d, struct slice sid, directory_cb *cb,
    void *arg) MUST_CHECK;

#endif
