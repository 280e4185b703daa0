/*
 * Structured log lines (logfmt) on standard error, one write(2) per line.
 *
 *	log_info("stream closed", LF("session", sid), LF_N("events", n),
 *	    LF("reason", "client_closed"));
 *
 * Values are escaped, so that foreign bytes cannot forge a line. No payloads,
 * no tokens, no full session ids (log_session_id() shortens one).
 */
#ifndef MCP_LOG_H
#define MCP_LOG_H

#include "common/compiler.h"

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR
};

struct log_field {
	const char *key;
	struct slice text;  /* p == NULL: the number is meant */
	int64_t number;
};

static inline struct slice
log_text(const char *s)
{
	return slice_str(s ? s : "");
}

#define LF(k, s) { .key = (k), .text = log_text(s) }
#define LF_S(k, sl) { .key = (k), .text = (sl) }
#define LF_N(k, v) { .key = (k), .number = (int64_t)(v) }

#define log_at(level, event, ...)                                          \
	do {                                                               \
		if (log_enabled(level)) {                                  \
			const struct log_field log_fields_[] = {           \
				LF("msg", event), ##__VA_ARGS__            \
			};                                                 \
			log_write(level, log_fields_,                      \
			    ARRAY_LEN(log_fields_));                       \
		}                                                          \
	} while (0)
#define log_debug(event, ...) log_at(LOG_LEVEL_DEBUG, event, ##__VA_ARGS__)
#define log_info(event, ...) log_at(LOG_LEVEL_INFO, event, ##__VA_ARGS__)
#define log_warn(event, ...) log_at(LOG_LEVEL_WARN, event, ##__VA_ARGS__)
#define log_error(event, ...) log_at(LOG_LEVEL_ERROR, event, ##__VA_ARGS__)

/* program and pod appear on every line; the strings must outlive logging. */
void log_setup(const char *program, const char *pod, enum log_level level);
bool log_enabled(enum log_level level);
/* The first field is the event. Thread-safe. */
void log_write(enum log_level level, const struct log_field *fields,
    size_t count);
/* The first eight characters: enough to grep, too few to take over a session. */
struct slice log_session_id(const char *sid);

#endif
