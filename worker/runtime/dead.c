#include "worker/runtime/dead.h"

#include "common/log.h"
#include "common/strbuf.h"

/* Enough to see a pattern; operators who keep all of them read the stream. */
#define LETTERS_MAX SLICE("10000")
/* 30 days after the last one nobody will ask any more. */
#define LETTERS_TTL_MS SLICE("2592000000")
/* XADD key MAXLEN ~ n *, four fields of our own, those of the call. */
#define FIXED_ARGC (6 + 2 * 4)
#define FIELDS_MAX 64

static void
on_added(struct redis *redis UNUSED, const redisReply *reply, void *arg UNUSED)
{
	if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
		log_error("dead letter refused", LF("reason", reply->str));
}

static size_t
add_field(struct slice *argv, size_t argc, struct slice name,
    struct slice value)
{
	argv[argc++] = name;
	argv[argc++] = value;
	return argc;
}

void
dead_add(const struct dead *d, const struct arrival *arrival, unsigned attempts,
    const char *reason)
{
	struct slice argv[FIXED_ARGC + FIELDS_MAX] = { SLICE("XADD"), d->key,
		SLICE("MAXLEN"), SLICE("~"), LETTERS_MAX, SLICE("*") };
	const struct slice expire[] = { SLICE("PEXPIRE"), d->key, LETTERS_TTL_MS };
	const redisReply *fields = arrival->entry.fields;
	size_t n = fields->elements < FIELDS_MAX ? fields->elements : FIELDS_MAX;
	size_t argc = 6;
	char number[20];

	log_error("call given up", LF_S("call", env_field(fields, "call")),
	    LF_S("entry", arrival->entry.id),
	    LF_S("tool", env_field(fields, "tool")), LF("reason", reason), LF_N("attempts", attempts),
	    LF_S("last_worker", arrival->last_worker));
	argc = add_field(argv, argc, SLICE("reason"), slice_str(reason));
	argc = add_field(argv, argc, SLICE("attempts"),
	    slice_of(number, u64_decimal(number, attempts)));
	argc = add_field(argv, argc, SLICE("last_worker"),
	    arrival->last_worker);
	argc = add_field(argv, argc, SLICE("entry"), arrival->entry.id);
	for (size_t i = 0; i + 1 < n; i += 2) {
		/* The call's own count ends where ours begins. */
		if (slice_eq_str(redis_slice(fields->element[i]), "attempt"))
			continue;
		argc = add_field(argv, argc, redis_slice(fields->element[i]),
		    redis_slice(fields->element[i + 1]));
	}
	if (!redis_send(d->commands, argv, argc, on_added, NULL))
		log_error("dead letter not sent");
	else
		(void)!redis_send(d->commands, expire, ARRAY_LEN(expire), NULL,
		    NULL);
}
