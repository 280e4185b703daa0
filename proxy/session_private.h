/*
 * What the files of sessions share; nobody else includes it.
 *
 * session.c: streams, from opening to end. session_claim.c: which session a stream
 * gets; session_reattach.c: one that another stream had; session_seek.c: one that
 * is known by its client's looks; session_leads.c: what leads clients to it.
 * session_delivery.c, session_backlog.c, session_log.c: messages to clients that
 * take them, that wait, that wait in Redis. session_news.c: what clients are told
 * unasked; session_drain.c: streams that are to leave; session_book.c: what is
 * known and counted of sessions.
 */
#ifndef MCP_SESSION_PRIVATE_H
#define MCP_SESSION_PRIVATE_H

#include <sys/queue.h>
#include <uthash.h>

#include "proxy/census.h"
#include "proxy/client_name.h"
#include "proxy/recent.h"
#include "proxy/session.h"
#include "proxy/session_script.h"
#include "proxy/user_index.h"

#define PROTOCOL_MAX 16
/* The log must outlive the ownership record: it carries the fence. */
#define LOG_EXTRA_TTL_MS 60000

enum session_state {
	SESSION_CLAIMING,
	SESSION_LIVE,
	SESSION_ENDED,
	SESSION_STATES
};

struct claim;
struct backlog;
struct seek;

/* What session_book.c keeps of a session, from its endpoint to its end. */
struct session_book {
	TAILQ_ENTRY(session) link;     /* of all->changed, while marked */
	struct client_name *client;    /* a reference; NULL: not known */
	uint64_t created_ms;           /* wall clock */
	uint64_t messages_before;      /* handed over by earlier owners */
	unsigned reattaches, recoveries;
	uint32_t born_minute;          /* under which it is counted */
	bool counted;                  /* by the census */
	bool marked;                   /* its record is to be written */
};

struct session {
	UT_hash_handle hh;             /* of all->table, while not ended */
	TAILQ_ENTRY(session) link;     /* of all->lists[state] */
	struct sessions *all;
	struct http_conn *stream;      /* NULL once ended */
	struct claim *claim;           /* while claiming, else NULL */
	struct backlog *backlog;       /* of messages; mostly NULL */
	struct seek *seek;             /* while another may be its client's */
	TAILQ_ENTRY(session) unnoted_link; /* of all->unnoted, while in it */
	char *alias;                   /* the id that its endpoint names, if not
					* its own, or NULL */
	uint64_t last;                 /* highest id answered plus one; 0: none */
	uint64_t last_fresh;           /* fresh at that time */
	char *given_up;                /* calls answered with an error, or NULL */
	uint64_t epoch;                /* 0 until claimed */
	uint64_t fresh;                /* epoch of the last initialize's stream */
	uint64_t created_ms;
	uint64_t pinged_ms;
	uint64_t refreshed_ms;
	uint64_t claimed_ms;           /* when the claim was sent */
	uint64_t proven_ms;            /* when the last proof was asked for */
	uint64_t leave_ms;             /* when to end; 0: not known to be idle */
	unsigned refs;                 /* commands and deliveries on their way */
	unsigned events;
	unsigned generation;           /* of the records in Redis */
	unsigned busy_in;              /* the last survey that found calls for it */
	enum session_state state;
	bool claim_sent;
	bool unnoted;                  /* last is not in Redis yet */
	bool used;                     /* somebody talks on it */
	bool spoken;                   /* by this stream's client, on it */
	bool leaving;                  /* its stream is to end once it is idle */
	bool asked_to_leave;           /* by a call that goes on; never idle */
	char sid[SID_LEN + 1];
	char api[API_NAME_MAX + 1];
	char protocol[PROTOCOL_MAX];
	char client[IDENT_HEX_LEN + 1]; /* digest of the client key, or empty */
	char *subscribed;              /* see subscriptions.h */
	struct client_traits client_traits;
	uint8_t changes;               /* enum catalog_change: to be told of */
	char alike[IDENT_HEX_LEN + 1]; /* of the client's looks, or empty */
	uint8_t user_kind;             /* enum principal_kind */
	unsigned char user[SHA256_LEN];
	struct session_book book;
};

TAILQ_HEAD(session_list, session);

struct sessions {
	struct session_options options;
	struct session *table;
	struct session_list lists[SESSION_STATES];
	TAILQ_HEAD(, backlog) backlogs;
	struct session_list changed;   /* whose records are to be written */
	struct user_index *users;
	struct census *census;
	struct client_names *names;
	struct session_list unnoted;
	TAILQ_HEAD(, seek) seeking;
	unsigned seeking_count;
	uint64_t noted_ms;             /* when nothing was unnoted */
	struct recent *recent;
	unsigned live;
	unsigned generation;
	bool rebuilding;               /* not all records are of it */
	unsigned claims_left;          /* of this tick */
	struct survey *survey;         /* borrowed; NULL: nobody may leave yet */
	const struct catalog *catalog;
	unsigned surveys;              /* how many were begun */
	uint64_t surveyed_ms;
	unsigned leaving;
	bool has_news;                 /* some are to be told of changes, */
	uint64_t news_due_ms;          /* but not before */
	bool closing;                  /* all of them are to leave */
	uint64_t closing_since_ms;
	bool giving_up;                /* as soon as no survey is under way */
};

/* What becomes of the session in Redis when its stream has ended. */
enum session_end {
	END_DETACHED,   /* it waits for its client */
	END_PLANNED,    /* the same, and the server wished it */
	END_RELEASED,   /* nobody used it: its records go */
	END_LOST        /* it belongs to somebody else now */
};

/* session.c */
void session_set_state(struct session *s, enum session_state state);
void session_unref(struct session *s);
void session_end(struct session *s, const char *reason, enum session_end how);
/* Another pod owns it now. */
void session_yield(struct session *s);
/* Somebody talks on it: it is to live longer. */
void session_use(struct session *s);
uint64_t session_ttl_ms(const struct session *s);
/* The user's hash in hex, as it stands in keys. */
struct slice session_user_hash(const struct session *s,
    char buf[static SHA256_HEX_LEN + 1]);

static inline struct slice
session_sid(const struct session *s)
{
	return slice_of(s->sid, SID_LEN);
}

static inline void
sessions_count_one(struct sessions *all, enum stat which)
{
	stat_add(all->options.stats, which, 1);
}

/* session_backlog.c, session_delivery.c, session_log.c */

/* What comes for it waits in its log for so long, or until its client speaks. */
void session_hold(struct session *s, uint64_t ms);
/* The output buffer is empty. */
void session_delivery_drained(struct session *s);
/* The session has ended: what waits is passed on. */
void session_delivery_end(struct session *s);
/* Goes on with what waits; a few times a second, and when Redis comes back. */
void sessions_delivery_tick(struct sessions *all);

/* session_book.c */

/* It has its endpoint: as a new session, or as one that its client got back. */
void session_book_opened(struct session *s);
void session_book_reattached(struct session *s, bool detached);
/* Its record is to be written, now that something of it has changed. */
void session_book_mark(struct session *s);
/* A message's note says who its client is, perhaps. */
void session_book_introduced(struct session *s, struct slice note);
/* Before its ownership is settled in Redis. */
void session_book_ended(struct session *s, const char *reason,
    enum session_end how);
void session_book_free(struct session *s);
void sessions_book_init(struct sessions *all);
void sessions_book_release(struct sessions *all);
void sessions_book_tick(struct sessions *all);

/* session_drain.c */

/* Is the stream so old that it is to leave? */
void session_drain_look(struct session *s, uint64_t now);
void session_drain_tick(struct sessions *all);

/* session_claim.c */

/* Starts (or, after Redis came back, starts over) to claim a session for it. */
void session_claim_begin(struct session *s, const struct session_request *want);
void session_claim_go_on(struct session *s);
void session_claim_free(struct session *s);
/* Writes the records of a live session anew. */
void session_claim_again(struct session *s);
/* How long the session waits for its client when its stream has ended. */
uint64_t session_wait_ms(const struct session *s);
/*
 * A live session may be another one, whose id this is: its stream goes on as that
 * one's if nobody else has it. session_seek_over() hears how it went.
 */
void session_claim_adopt(struct session *s, const char *sid);
/* What session_seek_look() found; NULL: a new session is to be claimed. */
void session_claim_sought(struct session *s, const char *sid);
/* Detaches in Redis what was claimed for a stream that ended meanwhile. */
void session_detach(struct session *s, uint64_t epoch, bool planned);

/* session_news.c */

/* What a message's note says is so from here on. */
void session_note(struct session *s, struct slice note);
/* Workers are to know, or for longer, what it has subscribed to. */
void session_watch(struct session *s);
/* Tells sessions of lists that have changed, some at a time. */
void session_news_tick(struct sessions *all);

/* session_leads.c */

/* Whatever leads to it does so for longer. */
void session_leads_refresh(struct session *s);
/* The session ends for good: nothing leads to it any more. */
void session_leads_drop(struct session *s);
/* Its client's key leads to it from now on; the key, in Redis's words. */
void session_leads_point(struct session *s);
struct slice session_leads_key(struct session *s, struct env_keybuf *buf);
/* It may be found by its client's looks, for so long; or not any more. */
void session_leads_list(struct session *s, uint64_t ttl_ms);
void session_leads_unlist(struct session *s, const char *sid);
struct slice session_leads_list_key(struct session *s, struct env_keybuf *buf);

/* session_seek.c */

/*
 * How the stream's client looks, for users who say who they are and clients that
 * have no key; if it reconnects, s->seek is set and its session looked for.
 */
void session_seek_begin(struct session *s, const struct session_request *want);
bool session_is_seeking(const struct session *s);
/* Looks for it; a session that is claiming hears by session_claim_sought(). */
void session_seek_look(struct session *s);
/* The session was adopted, or cannot be: no more of that. */
void session_seek_over(struct session *s);
/* The stream ends: nothing is looked for any more. */
void session_seek_stop(struct session *s);
void session_seek_free(struct session *s);
/* A message is handed over to the client. */
void session_seek_heard(struct session *s, const struct env_message *message);
void session_seek_tick(struct sessions *all);

/* Did the client make that call on this stream? */
static inline bool
session_is_of_this_stream(const struct session *s, struct slice call)
{
	return call.n == CALL_ID_LEN && !env_call_before(call, s->epoch);
}

/* Is the session about to become another one? Then Redis is not to be asked. */
static inline bool
session_is_adopting(const struct session *s)
{
	return s->state == SESSION_LIVE && s->claim != NULL;
}

#endif
