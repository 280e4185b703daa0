/*
 * Sessions on a real HTTP server and a real Redis, and a client of one of them:
 * what it got, and what became of each message.
 *
 * Messages are numbered: {"id":<number>,...}.
 */
#ifndef TESTS_SUPPORT_ONE_SESSION_H
#define TESTS_SUPPORT_ONE_SESSION_H

#include "proxy/session.h"
#include "tests/unit/support/client.h"

#define POD "pod-a.0.abcd"
#define TTL_MS 3600000
#define UNUSED_MS 60000
#define WINDOW_MS 300000
#define PING_MS 15000
#define MAX_BUFFER 4096
#define IDS_MAX 4096
/* session_delivery.c's: how long a proof of ownership lasts. */
#define PROOF_FRESH_MS 1000
/* Whose the session is. */
extern const struct principal who;
#define USER_HEX                                                               \
	"abcd000000000000000000000000000000000000000000000000000000000000"

/* For a checked fixture. */
void one_session_setup(void);
void one_session_teardown(void);
/* As one_session_teardown() does; then others in their place. */
void free_sessions(void);
void make_sessions(unsigned max_pending);
void make_http(void);
/* Of streams, for make_sessions(); 0: no limit. */
extern uint64_t max_age_ms;

extern struct redis *commands;
extern struct sessions *sessions;
extern struct sockaddr_storage address;
extern socklen_t address_len;
extern struct client client;
/* What the sessions are told of their inbox. */
extern struct inbox_reading inbox;
/* What the next GET asks for. */
extern struct session_request wanted;

int64_t stat_of(enum stat which);
/* Time stands still at the time of the first call, and then passes. */
void pass_ms(uint64_t ms);
/* From now on Redis is asked before the next message is written. */
void outlive_proof(void);

/* What the client got ----------------------------------------------------- */

/* The events without their chunks, newly decoded by each call. */
const char *events(void);
bool has_event(const char *text);
/* How many messages came. */
size_t count_got(void);
/* Were messages 1 to last handed over, each once and in order? */
void check_got(unsigned last);
/* The last chunk came, and the connection's end. */
bool ended_in_order(void);

/* What became of messages --------------------------------------------------- */

/* Messages that were given back, by their numbers. */
extern unsigned strays, last_stray;
extern char stray_attempt[8];
/* How often the fate of each message was told. */
extern unsigned told[IDS_MAX];
extern unsigned told_count;

/* A session_done_cb that counts; arg is a place in told. */
void on_told(void *arg);
/* Were messages 1 to last told of, each once? */
void check_told(unsigned last);

/* Acting ------------------------------------------------------------------ */

/* receive_bytes: of the client's socket, 0 for the system's default. */
void get_stream(int receive_bytes);
/* The same, and waits for the endpoint. */
void open_session(int receive_bytes);
/* By the endpoint that the client got. */
const char *sid(void);
struct session *the_session(void);

/* Message number id, of at least that many bytes. */
void deliver(unsigned id, const char *attempt, size_t bytes);
void deliver_to(unsigned id, const char *attempt, size_t bytes,
    session_done_cb *done);
void deliver_on(struct session *s, unsigned id, const char *attempt,
    size_t bytes, session_done_cb *done);

/*
 * Gives a client that does not read so much that its session lags, and then
 * some more, which waits in the log. The number of the last message.
 */
#define LAG_BYTES 16384

unsigned make_lag(unsigned more);
/* Entries of the session's event log. */
long long log_len(void);
/* Another pod takes the session over, as claim_script does. */
void take_over(void);
/*
 * The session has seen that and given up: message id was passed on, the stream
 * ended, and the records are the other's.
 */
void check_given_up(unsigned id);
/* "live", "detached" and so on, as its record says. */
const char *record_state(void);

#endif
