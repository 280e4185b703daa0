#include "common/envelope.h"

#include "common/strbuf.h"

/* Names ------------------------------------------------------------------ */

static bool
lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
env_api_name_ok(struct slice name)
{
	if (name.n == 0 || name.n > API_NAME_MAX || !lower(name.p[0]) ||
	    name.p[name.n - 1] == '-')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (!lower(c) && !digit(c) && c != '-')
			return false;
	}
	return true;
}

static bool
tool_name_char(char c)
{
	return lower(c) || (c >= 'A' && c <= 'Z') || digit(c) || c == '_' ||
	    c == '-' || c == '.';
}

bool
env_tool_name_ok(struct slice name)
{
	for (size_t i = 0; i < name.n; i++) {
		if (!tool_name_char(name.p[i]))
			return false;
	}
	return name.n > 0 && name.n <= TOOL_NAME_MAX;
}

/* Call ids --------------------------------------------------------------- */

static const char hex_digits[] = "0123456789abcdef";

void
env_call_stamp(char call[static CALL_ID_LEN], uint64_t epoch)
{
	for (size_t i = 1; i <= CALL_STAMP_LEN; i++, epoch >>= 4)
		call[CALL_ID_LEN - i] = hex_digits[epoch & 15];
}

bool
env_call_before(struct slice call, uint64_t epoch)
{
	uint16_t stamp = 0;

	if (call.n != CALL_ID_LEN)
		return false;
	for (size_t i = CALL_ID_LEN - CALL_STAMP_LEN; i < CALL_ID_LEN; i++) {
		const char *at = memchr(hex_digits, call.p[i], 16);

		if (at == NULL)
			return false;
		stamp = (uint16_t)(stamp << 4 | (at - hex_digits));
	}
	/* Serial numbers: the smaller half of the circle lies before. */
	return (int16_t)(uint16_t)(stamp - (uint16_t)epoch) < 0;
}

/* Keys ------------------------------------------------------------------- */

static const struct slice prefixes[] = {
	[ENV_SESSION] = SLICE("mcp_session:{"),
	[ENV_TRANSPORT] = SLICE("mcp_transport:{"),
	[ENV_EVENTS] = SLICE("mcp_events:{"),
	[ENV_REQUESTS] = SLICE("mcp_requests:{"),
	[ENV_REPLIES] = SLICE("mcp_replies:{"),
	[ENV_DEAD] = SLICE("mcp_dead:{"),
	[ENV_CANCEL] = SLICE("mcp_cancel:{"),
	[ENV_CHANGES] = SLICE("mcp_changes:{"),
	[ENV_WATCHED] = SLICE("mcp_watched:{"),
	[ENV_EXPIRED] = SLICE("mcp_expired:{"),
	[ENV_JANITOR] = SLICE("mcp_janitor:{"),
	[ENV_POD] = SLICE("mcp_pod:{"),
	[ENV_API] = SLICE("mcp_api:{"),
	[ENV_COUNTERS] = SLICE("mcp_counters:{"),
	[ENV_WORKERS] = SLICE("mcp_workers:{"),
	[ENV_API_KEY] = SLICE("mcp_api_key:{"),
	[ENV_TAKEN] = SLICE("mcp_taken:{"),
	[ENV_SWEEP] = SLICE("mcp_sweep:{"),
	[ENV_LIMIT] = SLICE("mcp_limit:{"),
	[ENV_USER_STREAMS] = SLICE("mcp_user_streams:{"),
	[ENV_USER_WAITING] = SLICE("mcp_user_waiting:{"),
	[ENV_USER_INDEX] = SLICE("mcp_user_index:{"),
	[ENV_CENSUS] = SLICE("mcp_census:{"),
	[ENV_DETACHED] = SLICE("mcp_detached:{"),
	[ENV_HISTORY] = SLICE("mcp_history:{"),
};

/*
 * Appends to a key; what does not fit is cut. Ids are made by our programs and
 * bounded (see the header), so a cut is a bug that shows up as a missing key,
 * never as a write past the buffer.
 */
static size_t
append(struct env_keybuf *buf, size_t at, struct slice s)
{
	size_t room = sizeof(buf->s) - at;
	size_t n = s.n < room ? s.n : room;

	if (n > 0)
		memcpy(buf->s + at, s.p, n);
	return at + n;
}

static size_t
tagged(struct env_keybuf *buf, struct slice prefix, struct slice id)
{
	size_t n = append(buf, 0, prefix);

	n = append(buf, n, id);
	return append(buf, n, SLICE("}"));
}

struct slice
env_key(struct env_keybuf *buf, enum env_key kind, struct slice id)
{
	return slice_of(buf->s, tagged(buf, prefixes[kind], id));
}

static struct slice
member_key(struct env_keybuf *buf, struct slice prefix, struct slice tag,
    struct slice member)
{
	size_t n = tagged(buf, prefix, tag);

	n = append(buf, n, SLICE(":"));
	return slice_of(buf->s, append(buf, n, member));
}

struct slice
env_worker_key(struct env_keybuf *buf, struct slice api, struct slice worker)
{
	return member_key(buf, SLICE("mcp_worker:{"), api, worker);
}

struct slice
env_answers_key(struct env_keybuf *buf, struct slice api,
    struct slice session)
{
	return member_key(buf, SLICE("mcp_answers:{"), api, session);
}

struct slice
env_client_key(struct env_keybuf *buf, struct slice user, struct slice digest)
{
	return member_key(buf, SLICE("mcp_client:{"), user, digest);
}

struct slice
env_alike_key(struct env_keybuf *buf, struct slice user, struct slice digest)
{
	return member_key(buf, SLICE("mcp_alike:{"), user, digest);
}

struct slice
env_user_calls_key(struct env_keybuf *buf, struct slice api, struct slice user)
{
	return member_key(buf, SLICE("mcp_user_calls:{"), api, user);
}

struct slice
env_user_session_key(struct env_keybuf *buf, struct slice user,
    struct slice sid)
{
	return member_key(buf, SLICE("mcp_user_session:{"), user, sid);
}

/* What workers ask of clients ---------------------------------------------- */

struct slice
env_ask_id(char buf[static ENV_ASK_ID_MAX], struct slice api, struct slice ask)
{
	size_t n = 0;

	buf[n++] = '"';
	memcpy(buf + n, api.p, api.n);
	n += api.n;
	buf[n++] = '.';
	memcpy(buf + n, ask.p, ENV_ASK_LEN);
	n += ENV_ASK_LEN;
	buf[n++] = '"';
	return slice_of(buf, n);
}

static bool
is_hex(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (memchr(hex_digits, s.p[i], 16) == NULL)
			return false;
	}
	return true;
}

bool
env_ask_read(struct slice id, struct slice *api, struct slice *ask)
{
	/* Two quotes, a dot, the ask; at least one character of a name. */
	const size_t around = 3 + ENV_ASK_LEN;
	struct slice name, rest;

	if (id.n <= around || id.p[0] != '"' || id.p[id.n - 1] != '"')
		return false;
	name = slice_of(id.p + 1, id.n - around);
	rest = slice_of(name.p + name.n + 1, ENV_ASK_LEN);
	if (name.p[name.n] != '.' || !env_api_name_ok(name) || !is_hex(rest))
		return false;
	*api = name;
	*ask = rest;
	return true;
}

/* Field/value pairs ------------------------------------------------------ */

static struct slice
text_of(const redisReply *r)
{
	if (r == NULL || r->type != REDIS_REPLY_STRING)
		return SLICE_NONE;
	return slice_of(r->str, (size_t)r->len);
}

/* The number of whole pairs in a field array; 0 when it is no array. */
static size_t
pair_count(const redisReply *fields)
{
	if (fields == NULL || fields->type != REDIS_REPLY_ARRAY)
		return 0;
	return fields->elements / 2;
}

bool
env_number(struct slice text, uint64_t *out)
{
	uint64_t v = 0;

	if (text.n == 0)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (!digit(text.p[i]) ||
		    __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(text.p[i] - '0'), &v))
			return false;
	}
	*out = v;
	return true;
}

struct slice
env_field(const redisReply *fields, const char *name)
{
	for (size_t i = 0; i < pair_count(fields); i++) {
		if (slice_eq_str(text_of(fields->element[2 * i]), name))
			return text_of(fields->element[2 * i + 1]);
	}
	return SLICE_NONE;
}

/* Requests --------------------------------------------------------------- */

enum request_value {
	VALUE_TEXT,
	VALUE_NUMBER
};

struct request_field {
	struct slice name;
	size_t offset;            /* in struct env_request */
	enum request_value type;
};

#define TEXT(field) \
	{ SLICE(#field), offsetof(struct env_request, field), VALUE_TEXT }
#define NUMBER(field) \
	{ SLICE(#field), offsetof(struct env_request, field), VALUE_NUMBER }

/* In the order of the entry, which a reader of our own entries profits from. */
static const struct request_field request_fields[] = {
	TEXT(call),
	TEXT(session),
	TEXT(user),
	TEXT(scopes),
	TEXT(method),
	TEXT(tool),
	TEXT(reply_to),
	NUMBER(deadline_ms),
	NUMBER(attempt),
	TEXT(payload),
	TEXT(traceparent),
	TEXT(client),
	TEXT(headers),
};
/* So many of them are left out when they are empty. */
#define OPTIONAL_FIELDS 3

_Static_assert(ENV_REQUEST_ARGC == 3 + 2 * ARRAY_LEN(request_fields),
    "ENV_REQUEST_ARGC and the table of fields disagree");

static bool
is_left_out(size_t i, const void *value)
{
	return i >= ARRAY_LEN(request_fields) - OPTIONAL_FIELDS &&
	    ((const struct slice *)value)->n == 0;
}

size_t
env_request_xadd(struct env_request_argv *out, struct slice key,
    const struct env_request *request)
{
	const char *base = (const char *)request;
	size_t argc = 0, numbers = 0;

	out->argv[argc++] = SLICE("XADD");
	out->argv[argc++] = key;
	out->argv[argc++] = SLICE("*");
	for (size_t i = 0; i < ARRAY_LEN(request_fields); i++) {
		const struct request_field *f = &request_fields[i];
		const void *value = base + f->offset;

		if (is_left_out(i, value))
			continue;
		out->argv[argc++] = f->name;
		if (f->type == VALUE_TEXT) {
			out->argv[argc++] = *(const struct slice *)value;
		} else {
			char *text = out->numbers[numbers++];

			out->argv[argc++] = u64_slice(text, *(const uint64_t *)value);
		}
	}
	return argc;
}

/* The row called name; guess is where it stands in entries of our own. */
static const struct request_field *
request_field(struct slice name, size_t guess)
{
	if (guess < ARRAY_LEN(request_fields) &&
	    slice_eq(request_fields[guess].name, name))
		return &request_fields[guess];
	for (size_t i = 0; i < ARRAY_LEN(request_fields); i++) {
		if (slice_eq(request_fields[i].name, name))
			return &request_fields[i];
	}
	return NULL;
}

bool
env_request_read(const redisReply *fields, struct env_request *out)
{
	struct env_request r = { .attempt = 1 };
	bool ok = true;

	for (size_t i = 0; i < pair_count(fields); i++) {
		const struct request_field *f =
		    request_field(text_of(fields->element[2 * i]), i);
		struct slice value = text_of(fields->element[2 * i + 1]);
		void *to;

		if (f == NULL)
			continue;
		to = (char *)&r + f->offset;
		if (f->type == VALUE_TEXT)
			*(struct slice *)to = value;
		else if (!env_number(value, to))
			ok = false;
	}
	*out = r;
	return ok && r.call.n == CALL_ID_LEN && r.session.n == SID_LEN &&
	    r.method.n > 0 && r.reply_to.n > 0 && r.reply_to.n <= POD_NAME_MAX &&
	    r.payload.n > 0;
}

/* Messages --------------------------------------------------------------- */

bool
env_call_is_notice(struct slice call)
{
	return slice_eq_str(call, ENV_CALL_TAKEN_OVER) ||
	    slice_eq_str(call, ENV_CALL_CLOSE_STREAM) ||
	    slice_eq_str(call, ENV_CALL_DECLARED);
}

size_t
env_message_fields(struct slice argv[static ENV_MESSAGE_ARGC],
    const struct env_message *message)
{
	argv[0] = SLICE("call");
	argv[1] = message->call;
	argv[2] = SLICE("session");
	argv[3] = message->session;
	argv[4] = SLICE("attempt");
	argv[5] = message->attempt;
	argv[6] = SLICE("payload");
	argv[7] = message->payload;
	if (message->note.n == 0)
		return 8;
	argv[8] = SLICE("note");
	argv[9] = message->note;
	return ENV_MESSAGE_ARGC;
}

static void
message_set(struct env_message *m, struct slice name, struct slice value)
{
	if (slice_eq(name, SLICE("session")))
		m->session = value;
	else if (slice_eq(name, SLICE("attempt")))
		m->attempt = value;
	else if (slice_eq(name, SLICE("payload")))
		m->payload = value;
	else if (slice_eq(name, SLICE("note")))
		m->note = value;
}

/*
 * Reads one group from pair *i up to the next "call" pair (or the end); pairs
 * before the first "call" make a group that has no session or no payload.
 */
static void
message_group(const redisReply *fields, size_t pairs, size_t *i,
    struct env_message *m)
{
	bool begun = false;

	*m = (struct env_message){ .attempt = SLICE("1") };
	for (; *i < pairs; (*i)++) {
		struct slice name = text_of(fields->element[2 * *i]);
		struct slice value = text_of(fields->element[2 * *i + 1]);

		if (slice_eq(name, SLICE("call"))) {
			if (begun)
				return;
			m->call = value;
		}
		begun = true;
		message_set(m, name, value);
	}
}

bool
env_message_next(const redisReply *fields, size_t *at, struct env_message *out,
    unsigned *malformed)
{
	size_t pairs = pair_count(fields);

	while (*at < pairs) {
		struct env_message m;

		message_group(fields, pairs, at, &m);
		if (m.session.n > 0 && m.payload.n > 0) {
			*out = m;
			return true;
		}
		(*malformed)++;
	}
	return false;
}

/* Stream replies --------------------------------------------------------- */

const redisReply *
env_stream_entries(const redisReply *xread)
{
	const redisReply *stream;

	if (xread == NULL || xread->type != REDIS_REPLY_ARRAY ||
	    xread->elements != 1)
		return NULL;
	stream = xread->element[0];
	if (stream->type != REDIS_REPLY_ARRAY || stream->elements != 2 ||
	    stream->element[1]->type != REDIS_REPLY_ARRAY)
		return NULL;
	return stream->element[1];
}

bool
env_entry_at(const redisReply *entries, size_t i, struct env_entry *out)
{
	const redisReply *entry;

	if (entries == NULL || entries->type != REDIS_REPLY_ARRAY ||
	    i >= entries->elements)
		return false;
	entry = entries->element[i];
	if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
	    entry->element[0]->type != REDIS_REPLY_STRING)
		return false;
	*out = (struct env_entry){
		.id = text_of(entry->element[0]),
		.fields = entry->element[1]->type == REDIS_REPLY_ARRAY ?
		    entry->element[1] : NULL,
	};
	return true;
}
