/*
 * The inbox of one event loop: a Redis stream that only this loop reads.
 *
 * An entry holds one or more messages for sessions. It stays in Redis until
 * each of them has been dealt with (inbox_done()), so that a loop that dies
 * leaves behind exactly what it owes. After a reconnect, and when Redis has lost
 * its data, the inbox is read from its beginning: what is there and not in our
 * hands was never dealt with.
 *
 * When Redis refuses to delete, messages go on being delivered; what is to be
 * deleted is remembered, up to a bound, and tried again with growing pauses. What
 * is forgotten beyond that bound counts as a possible repeat if it is read again.
 */
#ifndef MCP_INBOX_H
#define MCP_INBOX_H

#include "common/envelope.h"
#include "common/redis.h"

struct inbox;
struct inbox_entry;

/*
 * A message; its bytes are gone when this returns. The user calls
 * inbox_done(entry) once for it, now or later.
 */
typedef void inbox_cb(const struct env_message *message,
    struct inbox_entry *entry, void *arg);

/*
 * Deletes entries over commands (borrowed) and reads over a connection of its
 * own, made from reader_options, because XREAD blocks. pod names the inbox.
 */
struct inbox *inbox_new(struct event_base *base, struct evdns_base *dns,
    struct redis *commands, const struct redis_options *reader_options,
    struct slice pod, inbox_cb *cb, void *arg) MUST_CHECK;
void inbox_open(struct inbox *in);
/* commands must be broken or freed, and nobody may call inbox_done() any more. */
void inbox_free(struct inbox *in);

/*
 * How far the inbox has been read; both in clock_mono_ms(). Everything that was
 * in it at complete_ms has been given to the user; and since unbroken_ms nothing
 * that was put into it can have been lost unseen.
 */
struct inbox_reading {
	uint64_t complete_ms;
	uint64_t unbroken_ms;
};

/* Lives as long as the inbox, and is kept up to date. */
const struct inbox_reading *inbox_reading(const struct inbox *in);
/* Redis has lost its data, or may have: reads from the beginning, at once. */
void inbox_reread(struct inbox *in);

/* One message of the entry has been dealt with. NULL is fine. */
void inbox_done(struct inbox_entry *entry);
/* Deletes what is done, reads on after an error; a few times a second. */
void inbox_tick(struct inbox *in);

bool inbox_is_ready(const struct inbox *in);
/* Entries that have been dealt with and are not known to be deleted. */
unsigned inbox_undeleted(const struct inbox *in);
uint64_t inbox_commands_sent(const struct inbox *in);

#endif
