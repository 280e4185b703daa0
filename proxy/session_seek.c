/*
 * Finding a session by the looks of its client: the third way, for users who say
 * who they are and clients that name neither their session nor themselves.
 *
 * All such sessions of one user, path, client address and User-Agent are listed in
 * one set. A stream whose client reconnects looks through it (alike.h judges): if
 * all is clear it gets its session at once; otherwise a new one, and the search
 * goes on, since a killed pod is known to be dead only by its silence, and since
 * several candidates are told apart by the first request. A session found that
 * late takes over the stream; the new session's id, which the client has in its
 * endpoint, becomes an alias of it.
 */
#include "proxy/session_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "proxy/alike.h"
#include "proxy/awaited.h"

/* Streams that look for their session at once; further ones do without. */
#define SEEKING_MAX 1000
#define LOOK_EVERY_MS 1000
/* A pod is alive or dead by then, for everybody (ENV_HEARTBEAT_TTL_MS). */
#define PATIENCE_MS (ENV_HEARTBEAT_TTL_MS + 5000)
/*
 * A beat that is seen within this time of a stream's arrival may be from before
 * it: the index of pods is read once a second.
 */
#define OLD_BEAT_MS 2000
/* What was answered last is noted so often, for so many sessions a tick. */
#define NOTE_EVERY_MS 2000
#define NOTES_PER_TICK 500

struct look;

struct seek {
	TAILQ_ENTRY(seek) link;       /* of all->seeking, until over */
	struct session *session;
	struct look *look;            /* under way, or NULL */
	enum alike_verdict verdict;   /* of the last look */
	bool over;
	uint64_t began_ms;
	uint64_t since_ms;            /* when it last began to wait for pods */
	uint64_t looked_ms;
	uint64_t first;               /* lowest id answered here plus one; 0: none */
	char found[SID_LEN + 1];      /* to be adopted, or empty */
};

/* One look at the records of all that are listed. */
struct look {
	struct session *session;      /* a reference */
	unsigned outstanding;         /* commands on their way, plus one */
	bool whole;
	size_t count;
	struct alike all[ALIKE_MAX + 1]; /* and the stream's own session */
};

/* A question about one of them. */
struct question {
	struct look *look;
	char sid[SID_LEN + 1];
};

/* Looking ------------------------------------------------------------------------- */

static void
conclude(struct look *look, enum alike_verdict verdict, const char *found)
{
	struct session *s = look->session;
	struct seek *k = s->seek;

	free(look);
	k->look = NULL;
	if (k->verdict == ALIKE_ASK_ID && verdict != ALIKE_ASK_ID)
		k->since_ms = clock_mono_ms();
	k->verdict = verdict;
	if (s->state == SESSION_ENDED) {
		/* Nobody needs it any more. */
	} else if (s->state == SESSION_CLAIMING) {
		if (verdict == ALIKE_NONE)
			session_seek_over(s);
		session_claim_sought(s, found);
	} else if (k->over || verdict == ALIKE_NONE) {
		session_seek_over(s);
	} else if (found != NULL) {
		memcpy(k->found, found, SID_LEN);
	}
	session_unref(s);
}

static void
conclude_found(struct look *look, enum alike_verdict verdict,
    const struct alike *found)
{
	char sid[SID_LEN + 1];

	if (verdict == ALIKE_FOUND)
		memcpy(sid, found->sid, sizeof(sid));
	conclude(look, verdict, verdict == ALIKE_FOUND ? sid : NULL);
}

/* Requests that are still running were posted too, the first of all maybe. */
static void
on_awaited(bool whole, void *arg)
{
	struct look *look = arg;
	const struct alike *own = &look->all[look->count], *found = NULL;
	uint64_t first = look->session->seek->first;
	enum alike_verdict verdict;

	if (!whole) {
		conclude(look, ALIKE_ASK_LATER, NULL);
		return;
	}
	if (own->awaited_low != 0 && own->awaited_low < first)
		first = own->awaited_low;
	verdict = alike_judge_ids(look->all, look->count, first, &found);
	conclude_found(look, verdict, found);
}

static void
ask_awaited(struct look *look)
{
	struct session *s = look->session;
	struct alike *own = &look->all[look->count];
	struct slice pod = s->all->options.pod;

	memcpy(own->sid, s->sid, sizeof(own->sid));
	memcpy(own->pod, pod.p, pod.n);
	if (!awaited_read(s->all->options.commands, s->all->catalog, look->all,
		look->count + 1, on_awaited, look))
		conclude(look, ALIKE_ASK_LATER, NULL);
}

static void
judge(struct look *look)
{
	const struct alike *found = NULL;
	enum alike_verdict verdict;

	if (!look->whole) {
		conclude(look, ALIKE_ASK_LATER, NULL);
		return;
	}
	verdict = alike_judge(look->all, look->count, look->session->seek->first,
	    &found);
	if (verdict == ALIKE_ASK_AWAITED && look->session->all->catalog != NULL)
		ask_awaited(look);
	else
		conclude_found(look, verdict, found);
}

static void
unref_look(struct look *look)
{
	if (--look->outstanding == 0)
		judge(look);
}

static enum alike_state
state_of(const struct session *s, const char *sid, struct slice pod,
    bool detached)
{
	const struct session_options *o = &s->all->options;
	const struct fleet_pod *of = fleet_find(o->fleet, pod);

	if (detached)
		return ALIKE_WAITING;
	if (slice_eq(pod, o->pod))
		return sessions_find(s->all, slice_str(sid)) != NULL ?
		    ALIKE_IN_USE : ALIKE_WAITING;
	if (of != NULL && fleet_is_dead(of))
		return ALIKE_WAITING;
	return of != NULL && of->moved_ms > s->seek->began_ms + OLD_BEAT_MS ?
	    ALIKE_IN_USE : ALIKE_UNCERTAIN;
}

/* The records of a session that is listed: protocol, state, alias; pod, last. */
static const struct redis_script record_script = {
	"alike_record",
	"local s = redis.call('HMGET', KEYS[1], 'protocol', 'state', 'alias')\n"
	"local t = redis.call('HMGET', KEYS[2], 'pod', 'last')\n"
	"return { s[1] or '', s[2] or '', s[3] or '', t[1] or '', t[2] or '0' }\n"
};

static void
take_record(struct look *look, const char *sid, redisReply **e)
{
	struct session *s = look->session;
	struct slice pod = redis_slice(e[3]);
	struct alike *a = &look->all[look->count];

	if (pod.n == 0 || pod.n > POD_NAME_MAX || redis_slice(e[2]).n > 0) {
		session_leads_unlist(s, sid);
		return;
	}
	if (!slice_eq_str(redis_slice(e[0]), s->protocol))
		return;
	memcpy(a->sid, sid, sizeof(a->sid));
	memcpy(a->pod, pod.p, pod.n);
	if (!env_number(redis_slice(e[4]), &a->last))
		a->last = 0;
	a->state = state_of(s, sid, pod,
	    slice_eq_str(redis_slice(e[1]), "detached"));
	look->count++;
}

static void
on_record(struct redis *r, const redisReply *reply, void *arg)
{
	struct question *q = arg;
	struct look *look = q->look;

	(void)r;
	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY ||
	    reply->elements != 5)
		look->whole = false;
	else if (look->session->state != SESSION_ENDED)
		take_record(look, q->sid, reply->element);
	free(q);
	unref_look(look);
}

static void
ask_record(struct look *look, struct slice sid)
{
	struct env_keybuf keybuf[2];
	struct slice keys[] = { env_key(&keybuf[0], ENV_SESSION, sid),
		env_key(&keybuf[1], ENV_TRANSPORT, sid) };
	struct question *q;

	if (sid.n != SID_LEN || slice_eq(sid, session_sid(look->session)))
		return;
	q = xcalloc(1, sizeof(*q));
	q->look = look;
	memcpy(q->sid, sid.p, SID_LEN);
	if (redis_eval(look->session->all->options.commands, &record_script, keys,
		ARRAY_LEN(keys), ARRAY_LEN(keys), on_record, q)) {
		look->outstanding++;
		return;
	}
	look->whole = false;
	free(q);
}

/* Too many of them: nobody is told apart by looks. */
static void
on_listed(struct redis *r, const redisReply *reply, void *arg)
{
	struct look *look = arg;
	bool array = reply != NULL && reply->type == REDIS_REPLY_ARRAY;

	(void)r;
	look->whole = array;
	if (array && reply->elements > ALIKE_MAX) {
		conclude(look, ALIKE_NONE, NULL);
		return;
	}
	for (size_t i = 0; array && i < reply->elements; i++)
		ask_record(look, redis_slice(reply->element[i]));
	unref_look(look);
}

void
session_seek_look(struct session *s)
{
	struct seek *k = s->seek;
	char now[20], most[20];
	struct env_keybuf keybuf;
	struct slice argv[] = { SLICE("ZRANGE"), session_leads_list_key(s, &keybuf),
		u64_slice(now, clock_wall_ms()), SLICE("+inf"),
		SLICE("BYSCORE"), SLICE("LIMIT"), SLICE("0"),
		u64_slice(most, ALIKE_MAX + 1) };
	struct look *look = xcalloc(1, sizeof(*look));

	look->session = s;
	look->outstanding = 1;
	if (!redis_send(s->all->options.commands, argv, ARRAY_LEN(argv),
		on_listed, look)) {
		free(look);
		return;
	}
	k->look = look;
	k->looked_ms = clock_mono_ms();
	s->claim_sent |= s->state == SESSION_CLAIMING;
	s->refs++;
}

/* Beginning and ending ----------------------------------------------------------- */

void
session_seek_begin(struct session *s, const struct session_request *want)
{
	struct sessions *all = s->all;

	if (all->options.fleet == NULL || want->client_key.n > 0 ||
	    want->who->kind == PRINCIPAL_ANONYMOUS)
		return;
	session_client_digest(s->alike, want->api,
	    slice_str(want->who->fingerprint));
	if (want->protocol.n == 0 || want->protocol.n >= PROTOCOL_MAX ||
	    all->seeking_count >= SEEKING_MAX)
		return;
	s->seek = xcalloc(1, sizeof(*s->seek));
	s->seek->session = s;
	s->seek->began_ms = s->seek->since_ms = clock_mono_ms();
	TAILQ_INSERT_TAIL(&all->seeking, s->seek, link);
	all->seeking_count++;
	stat_add(all->options.stats, STAT_SESSIONS_SEEKING, 1);
}

bool
session_is_seeking(const struct session *s)
{
	return s->seek != NULL && !s->seek->over;
}

static void
leave_list(struct session *s)
{
	if (!session_is_seeking(s))
		return;
	s->seek->over = true;
	TAILQ_REMOVE(&s->all->seeking, s->seek, link);
	s->all->seeking_count--;
	stat_add(s->all->options.stats, STAT_SESSIONS_SEEKING, -1);
}

void
session_seek_over(struct session *s)
{
	leave_list(s);
	if (s->seek == NULL || s->seek->look != NULL)
		return;
	session_seek_free(s);
	if (s->state == SESSION_LIVE)
		session_leads_list(s, session_ttl_ms(s));
}

void
session_seek_stop(struct session *s)
{
	leave_list(s);
	if (s->unnoted)
		TAILQ_REMOVE(&s->all->unnoted, s, unnoted_link);
	s->unnoted = false;
}

void
session_seek_free(struct session *s)
{
	leave_list(s);
	free(s->seek);
	s->seek = NULL;
}

/* Ids that were answered ----------------------------------------------------------- */

void
session_seek_heard(struct session *s, const struct env_message *message)
{
	uint64_t id;

	if (s->alike[0] == '\0')
		return;
	id = alike_answer_id(message->payload);
	if (id == 0)
		return;
	if (s->seek != NULL && (s->seek->first == 0 || id < s->seek->first))
		s->seek->first = id;
	/* A client that begins anew begins with 0, or else with initialize. */
	if (id == 1 || s->fresh != s->last_fresh)
		s->last = 0;
	s->last_fresh = s->fresh;
	if (id <= s->last)
		return;
	s->last = id;
	if (!s->unnoted)
		TAILQ_INSERT_TAIL(&s->all->unnoted, s, unnoted_link);
	s->unnoted = true;
}

/*
 * For the case that this pod is killed. What it answers after the last note is
 * missing then, so that the session is not recognised by its ids.
 */
static void
note_some(struct sessions *all, uint64_t now)
{
	struct session *s;
	unsigned left = NOTES_PER_TICK;

	if (now - all->noted_ms < NOTE_EVERY_MS ||
	    !redis_is_ready(all->options.commands))
		return;
	while (left-- > 0 && (s = TAILQ_FIRST(&all->unnoted)) != NULL) {
		session_note_last_send(all->options.commands, session_sid(s),
		    s->epoch, s->last);
		TAILQ_REMOVE(&all->unnoted, s, unnoted_link);
		s->unnoted = false;
	}
	if (TAILQ_EMPTY(&all->unnoted))
		all->noted_ms = now;
}

/* Seeking on ----------------------------------------------------------------------- */

static bool
is_out_of_time(const struct seek *k, uint64_t now)
{
	return now - k->began_ms >= k->session->all->options.window_ms ||
	    (k->verdict != ALIKE_ASK_ID && now - k->since_ms >= PATIENCE_MS);
}

/* Only while nothing that names the session is on its way. */
static void
adopt_found(struct seek *k)
{
	struct session *s = k->session;
	char sid[SID_LEN + 1];

	if (s->refs > 0 || s->backlog != NULL)
		return;
	memcpy(sid, k->found, sizeof(sid));
	/* If it fails for want of Redis, all is judged anew. */
	k->found[0] = '\0';
	k->verdict = ALIKE_ASK_LATER;
	session_claim_adopt(s, sid);
}

static void
seek_on(struct seek *k, uint64_t now)
{
	struct session *s = k->session;

	if (s->state != SESSION_LIVE || s->claim != NULL || k->look != NULL)
		return;
	if (is_out_of_time(k, now))
		session_seek_over(s);
	else if (k->found[0] != '\0')
		adopt_found(k);
	else if (now - k->looked_ms >= LOOK_EVERY_MS &&
	    (k->verdict != ALIKE_ASK_ID || k->first != 0))
		session_seek_look(s);
}

void
session_seek_tick(struct sessions *all)
{
	uint64_t now = clock_mono_ms();
	struct seek *k, *next;

	note_some(all, now);
	for (k = TAILQ_FIRST(&all->seeking); k != NULL; k = next) {
		next = TAILQ_NEXT(k, link);
		seek_on(k, now);
	}
}
