#include "common/user_session.h"

#include <msgpack.h>
#include <stddef.h>

struct member {
	const char *name;
	bool is_text;
	size_t at;
};

#define TEXT(m) { #m, true, offsetof(struct user_session, m) }
#define NUMBER(m) { #m, false, offsetof(struct user_session, m) }

static const struct member members[] = {
	NUMBER(epoch),
	TEXT(api),
	TEXT(transport),
	TEXT(protocol),
	TEXT(user_kind),
	TEXT(client),
	TEXT(client_version),
	TEXT(pod),
	NUMBER(created_ms),
	NUMBER(seen_ms),
	NUMBER(detached_ms),
	NUMBER(detached_until_ms),
	NUMBER(messages),
	NUMBER(reattaches),
	NUMBER(recoveries),
};

static const struct slice *
text_of(const struct user_session *us, const struct member *m)
{
	return (const struct slice *)(const void *)((const char *)us + m->at);
}

static uint64_t
number_of(const struct user_session *us, const struct member *m)
{
	uint64_t v;

	memcpy(&v, (const char *)us + m->at, sizeof(v));
	return v;
}

void
user_session_each(const struct user_session *us, user_session_member_cb *cb,
    void *arg)
{
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const struct member *m = &members[i];

		if (m->is_text)
			cb(m->name, text_of(us, m), 0, arg);
		else
			cb(m->name, NULL, number_of(us, m), arg);
	}
}

/* Packing ------------------------------------------------------------------- */

static int
write_bytes(void *data, const char *p, size_t n)
{
	struct strbuf *out = data;

	strbuf_add(out, p, n);
	return strbuf_ok(out) ? 0 : -1;
}

static void
pack_member(const char *name, const struct slice *text, uint64_t number,
    void *arg)
{
	msgpack_packer *packer = arg;

	(void)name;
	if (text != NULL)
		msgpack_pack_str_with_body(packer,
		    text->n > 0 ? text->p : "", text->n);
	else
		msgpack_pack_uint64(packer, number);
}

void
user_session_pack(const struct user_session *us, struct strbuf *out)
{
	msgpack_packer packer;

	msgpack_packer_init(&packer, out, write_bytes);
	msgpack_pack_array(&packer, 1 + ARRAY_LEN(members));
	msgpack_pack_uint64(&packer, USER_SESSION_VERSION);
	user_session_each(us, pack_member, &packer);
}

/* Unpacking ----------------------------------------------------------------- */

/* Strings of an unpacked object lie in the bytes that it was unpacked from. */
static bool
take_member(struct user_session *us, const struct member *m,
    const msgpack_object *object)
{
	struct slice text;

	if (m->is_text) {
		if (object->type != MSGPACK_OBJECT_STR)
			return false;
		text = slice_of(object->via.str.ptr, object->via.str.size);
		memcpy((char *)us + m->at, &text, sizeof(text));
		return true;
	}
	if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return false;
	memcpy((char *)us + m->at, &object->via.u64, sizeof(uint64_t));
	return true;
}

static bool
take_members(struct user_session *us, const msgpack_object *root)
{
	const msgpack_object *e;

	if (root->type != MSGPACK_OBJECT_ARRAY ||
	    root->via.array.size < 1 + ARRAY_LEN(members))
		return false;
	e = root->via.array.ptr;
	if (e[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
	    e[0].via.u64 < USER_SESSION_VERSION)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		if (!take_member(us, &members[i], &e[1 + i]))
			return false;
	}
	return true;
}

bool
user_session_unpack(struct slice packed, struct user_session *out)
{
	msgpack_unpacked unpacked;
	struct user_session us;
	bool ok;

	if (packed.n == 0 || packed.n > USER_SESSION_MAX)
		return false;
	msgpack_unpacked_init(&unpacked);
	ok = msgpack_unpack_next(&unpacked, packed.p, packed.n, NULL) ==
		MSGPACK_UNPACK_SUCCESS &&
	    take_members(&us, &unpacked.data);
	msgpack_unpacked_destroy(&unpacked);
	if (ok)
		*out = us;
	return ok;
}
