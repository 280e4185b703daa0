/*
 * What the files of the session API share: session_api.c runs calls, and each
 * tool has a file of its own.
 */
#ifndef MCP_SESSION_API_PRIVATE_H
#define MCP_SESSION_API_PRIVATE_H

#include <cjson/cJSON.h>

#include "proxy/gather.h"
#include "proxy/session_api.h"
#include "proxy/tally.h"

/* Entries of a listing of pods, workers, clients in an answer. */
#define SESSION_API_ENTRIES_MAX 200

struct job;

struct session_api_tool {
	const char *name;
	const char *json;         /* as tools/list shows it */
	/* Reads the arguments and asks; false after job_refuse(). */
	bool (*ask)(struct job *job);
	/* All has come, or not: completes job->out. */
	void (*complete)(struct job *job, bool whole);
};

extern const struct session_api_tool session_api_health;
extern const struct session_api_tool session_api_users;
extern const struct session_api_tool session_api_analytics;
extern const struct session_api_tool session_api_tools;

/* A call under way. */
struct job {
	struct session_api *api;
	const struct session_api_options *options;
	const struct session_api_tool *tool;
	struct gather *gather;
	session_api_cb *cb;
	void *arg;
	cJSON *arguments;         /* an object, or NULL */
	cJSON *out;               /* the structured content */
	char *refusal;            /* what is wrong, or NULL */
	struct scopes *scopes;    /* a reference */
	enum principal_kind kind;
	char user[SHA256_HEX_LEN + 1];
	char sid[SID_LEN + 1];
	uint64_t asked_us;        /* monotonic */
	/* Counters of all pods, by where they come from. */
	struct tally *open;       /* sessions with a stream */
	struct tally *waiting;    /* without one */
	struct tally *history;
};

/* The call's answer is an error with that text. */
void job_refuse(struct job *job, const char *fmt, ...) PRINTF_LIKE(2, 3);
/*
 * Only these arguments may be given, of these types (a NULL name ends them);
 * refuses others, naming the first.
 */
struct argument {
	const char *name;
	bool (*is)(const cJSON *item);
	const char *type;
};
bool job_check_arguments(struct job *job,
    const struct argument *allowed) MUST_CHECK;

/* Asks for the counters of all pods; pods: {name: open sessions}, or NULL. */
void job_ask_counters(struct job *job, cJSON *pods);

/* Adds a text as it may stand in JSON; bytes beyond ASCII only if they are utf8. */
void job_add_text(cJSON *to, const char *name, struct slice text, bool utf8);
/* A point of time, ISO 8601 with milliseconds; null for 0. */
void job_add_time(cJSON *to, const char *name, uint64_t wall_ms);
void job_add_number(cJSON *to, const char *name, uint64_t n);
/* {value: count} of a kind, of one tally or the sum of two. */
void job_add_counts(cJSON *to, const char *name, const char *kind,
    struct tally *a, struct tally *b);

#endif
