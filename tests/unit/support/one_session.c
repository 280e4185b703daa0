#include "tests/unit/support/one_session.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/serve.h"
#include "tests/unit/support/wait.h"

struct redis *commands;
struct sessions *sessions;
static struct http_server *server;
struct sockaddr_storage address;
socklen_t address_len;
static metric_value stats[STAT_COUNT];
struct client client;
struct inbox_reading inbox;

uint64_t max_age_ms;
struct session_request wanted;
const struct principal who = {
	.kind = PRINCIPAL_API_KEY,
	.user = { .bytes = { 0xab, 0xcd }, .hash = "abcd" },
};

unsigned strays, last_stray;
char stray_attempt[8];
unsigned told[IDS_MAX];
unsigned told_count;

static void
on_get(struct http_conn *c, const struct http_request *req UNUSED,
    void *arg UNUSED)
{
	session_open(sessions, c, &wanted);
}

static void
on_stray(const struct env_message *m, session_done_cb *done, void *done_arg,
    void *arg)
{
	ck_assert_ptr_eq(arg, &sessions);
	ck_assert_uint_eq(m->session.n, SID_LEN);
	ck_assert_int_eq(sscanf(m->payload.p, "{\"id\":%u", &last_stray), 1);
	snprintf(stray_attempt, sizeof(stray_attempt), "%.*s",
	    SLICE_ARG(m->attempt));
	strays++;
	done(done_arg);
}

static void
on_state(struct redis *r UNUSED, bool ready, void *arg UNUSED)
{
	if (ready && sessions != NULL)
		sessions_on_ready(sessions);
}

/* Fixture ----------------------------------------------------------------- */

void
make_sessions(unsigned max_pending)
{
	struct redis_options redis = server_options();
	struct session_options options = {
		.pod = SLICE(POD),
		.ttl_ms = TTL_MS,
		.window_ms = WINDOW_MS,
		.unused_ttl_ms = UNUSED_MS,
		.ping_interval_ms = PING_MS,
		.retry_ms = 1234,
		.max_buffer = MAX_BUFFER,
		.max_age_ms = max_age_ms,
		.inbox = &inbox,
		.stats = stats,
		.stray = on_stray,
		.arg = &sessions,
	};

	redis.on_state = on_state;
	redis.max_pending = max_pending;
	commands = server_connect(&redis);
	options.commands = commands;
	sessions = sessions_new(&options);
}

void
make_http(void)
{
	server = serve(on_get, NULL, stats, &address, &address_len);
}

void
one_session_setup(void)
{
	wait_setup();
	server_setup();
	make_sessions(100000);
	make_http();
	wanted = (struct session_request){ .api = SLICE(""), .who = &who };
}

/* First Redis, as loop_free() does. */
void
free_sessions(void)
{
	sessions_end_all(sessions, "shutdown");
	redis_free(commands);
	sessions_free(sessions);
	sessions = NULL;
	http_server_free(server);
}

void
one_session_teardown(void)
{
	free_sessions();
	client_close(&client);
	server_teardown();
	ck_assert_int_eq(metric_get(&stats[STAT_STREAMS]), 0);
	wait_teardown();
}

int64_t
stat_of(enum stat which)
{
	return metric_get(&stats[which]);
}

void
pass_ms(uint64_t ms)
{
	clock_fake(clock_mono_ms() + ms);
}

void
outlive_proof(void)
{
	pass_ms(PROOF_FRESH_MS + 1);
}

/* What the client got ----------------------------------------------------- */

const char *
events(void)
{
	static struct strbuf text = STRBUF_INIT((size_t)64 << 20);
	const char *p = strstr(strbuf_str(&client.in), "\r\n\r\n");
	const char *end = client.in.p + client.in.n;
	char *data;

	strbuf_reset(&text);
	if (p == NULL)
		return "";
	p += 4;
	while (p < end && memmem(p, (size_t)(end - p), "\r\n", 2) != NULL) {
		size_t n = strtoul(p, &data, 16);

		data += 2;
		if (n == 0 || (size_t)(end - data) < n + 2)
			break;
		strbuf_add(&text, data, n);
		p = data + n + 2;
	}
	return strbuf_str(&text);
}

bool
has_event(const char *text)
{
	return strstr(events(), text) != NULL;
}

/* The numbers of the messages that came, in order; returns how many. */
static size_t
ids_got(unsigned ids[static IDS_MAX])
{
	static const char mark[] = "event: message\ndata: {\"id\":";
	size_t n = 0;

	for (const char *p = events(); (p = strstr(p, mark)) != NULL;) {
		p += sizeof(mark) - 1;
		ck_assert_uint_lt(n, IDS_MAX);
		ids[n++] = (unsigned)strtoul(p, NULL, 10);
	}
	return n;
}

size_t
count_got(void)
{
	static unsigned ids[IDS_MAX];

	return ids_got(ids);
}

void
check_got(unsigned last)
{
	static unsigned ids[IDS_MAX];
	size_t n = ids_got(ids);

	for (unsigned i = 0; i < n && i < last; i++)
		ck_assert_uint_eq(ids[i], i + 1);
	ck_assert_uint_eq(n, last);
}

void
check_told(unsigned last)
{
	for (unsigned i = 1; i <= last; i++)
		ck_assert_msg(told[i] == 1, "%u was told %u times", i, told[i]);
	ck_assert_uint_eq(told_count, last);
}

bool
ended_in_order(void)
{
	return client.eof && client.in.n > 5 &&
	    memcmp(client.in.p + client.in.n - 5, "0\r\n\r\n", 5) == 0;
}

/* Acting ------------------------------------------------------------------ */

void
get_stream(int receive_bytes)
{
	client_open(&client, &address, address_len, receive_bytes);
	client_say(&client, "GET /sse HTTP/1.1\r\nHost: h\r\n\r\n");
}

const char *
sid(void)
{
	static char text[SID_LEN + 1];
	const char *p = strstr(events(), "session_id=");

	ck_assert_ptr_nonnull(p);
	memcpy(text, p + strlen("session_id="), SID_LEN);
	return text;
}

struct session *
the_session(void)
{
	return sessions_find(sessions, slice_str(sid()));
}

void
open_session(int receive_bytes)
{
	get_stream(receive_bytes);
	WAIT(has_event("endpoint"));
	ck_assert_ptr_nonnull(the_session());
}

void
on_told(void *arg)
{
	unsigned *count = arg;

	(*count)++;
	told_count++;
}

void
deliver_on(struct session *s, unsigned id, const char *attempt, size_t bytes,
    session_done_cb *done)
{
	struct strbuf payload = STRBUF_INIT(1 << 22);
	static const char session_id[] = "0123456789abcdef0123456789abcdef";
	char call[CALL_ID_LEN + 1];
	struct env_message m;

	snprintf(call, sizeof(call), "%032x", id * 2654435761u);
	/* The digits that tell calls apart are the first. */
	memcpy(call, call + 24, 8);
	strbuf_addf(&payload, "{\"id\":%u,\"pad\":\"", id);
	while (payload.n < bytes)
		strbuf_add_char(&payload, (char)('a' + payload.n % 23));
	strbuf_add_str(&payload, "\"}");
	m = (struct env_message){ .call = slice_of(call, CALL_ID_LEN),
		.session = slice_str(session_id), .attempt = slice_str(attempt),
		.payload = strbuf_slice(&payload) };
	session_deliver(s, &m, done, &told[id]);
	strbuf_release(&payload);
}

void
deliver_to(unsigned id, const char *attempt, size_t bytes,
    session_done_cb *done)
{
	deliver_on(the_session(), id, attempt, bytes, done);
}

void
deliver(unsigned id, const char *attempt, size_t bytes)
{
	deliver_to(id, attempt, bytes, on_told);
}

unsigned
make_lag(unsigned more)
{
	unsigned id = 0;

	open_session(4096);
	client_pause(&client);
	while (stat_of(STAT_EVENTS_LAGGED) == 0) {
		ck_assert_uint_lt(id, 1000);
		deliver(++id, "1", LAG_BYTES);
		WAIT(redis_pending_count(commands) == 0);
	}
	for (unsigned i = 0; i < more; i++)
		deliver(++id, "1", LAG_BYTES);
	WAIT(told_count == id);
	ck_assert_int_eq(stat_of(STAT_EVENTS_LAGGED), more + 1);
	return id;
}

long long
log_len(void)
{
	return server_int("XLEN mcp_events:{%s}", sid());
}

void
take_over(void)
{
	server_do("HSET mcp_transport:{%s} pod pod-b epoch 2", sid());
	server_do("XADD mcp_events:{%s} 2-0 owner pod-b", sid());
}

void
check_given_up(unsigned id)
{
	WAIT(strays == 1);
	ck_assert_uint_eq(last_stray, id);
	ck_assert_uint_eq(told[id], 1);
	WAIT(ended_in_order());
	ck_assert_ptr_null(the_session());
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_eq(server_int("EXISTS mcp_session:{%s} "
	    "mcp_transport:{%s} mcp_events:{%s}", sid(), sid(), sid()), 3);
	ck_assert_str_eq(server_text("HGET mcp_transport:{%s} epoch", sid()),
	    "2");
	ck_assert_int_eq(stat_of(STAT_SESSIONS_FENCED), 1);
}

const char *
record_state(void)
{
	return server_text("HGET mcp_session:{%s} state", sid());
}
