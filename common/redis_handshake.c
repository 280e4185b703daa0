#include "common/redis_handshake.h"

#include <stdio.h>

#include "common/log.h"
#include "common/strbuf.h"

/* Words; 0 when the options do not ask for the step --------------------------- */

typedef size_t step_words(const struct redis_options *opt,
    struct redis_handshake_argv *out);

static size_t
auth_words(const struct redis_options *opt, struct redis_handshake_argv *out)
{
	const struct redis_url *url = opt->url;
	size_t argc = 0;

	if (url->password == NULL)
		return 0;
	out->argv[argc++] = SLICE("AUTH");
	if (url->user != NULL)
		out->argv[argc++] = slice_str(url->user);
	out->argv[argc++] = slice_str(url->password);
	return argc;
}

static size_t
select_words(const struct redis_options *opt, struct redis_handshake_argv *out)
{
	if (opt->url->db == 0)
		return 0;
	out->argv[0] = SLICE("SELECT");
	out->argv[1] = u64_slice(out->number, opt->url->db);
	return 2;
}

static size_t
name_words(const struct redis_options *opt, struct redis_handshake_argv *out)
{
	if (opt->client_name == NULL)
		return 0;
	out->argv[0] = SLICE("CLIENT");
	out->argv[1] = SLICE("SETNAME");
	out->argv[2] = slice_str(opt->client_name);
	return 3;
}

static size_t
role_words(const struct redis_options *opt UNUSED,
    struct redis_handshake_argv *out)
{
	out->argv[0] = SLICE("ROLE");
	return 1;
}

static size_t
ping_words(const struct redis_options *opt UNUSED,
    struct redis_handshake_argv *out)
{
	out->argv[0] = SLICE("PING");
	return 1;
}

/* Steps ----------------------------------------------------------------- */

struct redis_handshake_step {
	const char *name;
	step_words *words;
	bool optional;
};

/*
 * An optional step may be forbidden by the server's ACL, or unknown to a server
 * that is not quite Redis. ROLE tells a replica, which could not take writes;
 * PING is the one that a server which is still loading its data refuses. One that
 * cannot save its data refuses it as well, but can be read.
 */
static const struct redis_handshake_step steps[] = {
	{ "AUTH", auth_words, false },
	{ "SELECT", select_words, false },
	{ "CLIENT SETNAME", name_words, true },
	{ "ROLE", role_words, true },
	{ "PING", ping_words, false },
};

const struct redis_handshake_step *
redis_handshake_next(const struct redis_handshake_step *step,
    const struct redis_options *opt)
{
	struct redis_handshake_argv unused;

	for (step = step ? step + 1 : steps; step < steps + ARRAY_LEN(steps);
	    step++) {
		if (step->words(opt, &unused) > 0)
			return step;
	}
	return NULL;
}

size_t
redis_handshake_words(const struct redis_handshake_step *step,
    const struct redis_options *opt, struct redis_handshake_argv *out)
{
	return step->words(opt, out);
}

/* Answers --------------------------------------------------------------- */

static bool
is_any_error(const redisReply *reply, const char *const *prefixes)
{
	for (; *prefixes != NULL; prefixes++) {
		if (redis_is_error(reply, *prefixes))
			return true;
	}
	return false;
}

static const char *const credentials_errors[] = {
	"WRONGPASS", "NOAUTH", "ERR AUTH", "ERR invalid password", NULL
};
static const char *const forbidden_errors[] = { "NOPERM", "ERR unknown", NULL };

static bool
is_replica(const redisReply *role)
{
	return role->type == REDIS_REPLY_ARRAY && role->elements > 0 &&
	    slice_eq_str(redis_slice(role->element[0]), "slave");
}

bool
redis_handshake_accept(const struct redis_handshake_step *step,
    const redisReply *reply, char *why, size_t why_size)
{
	if (is_any_error(reply, credentials_errors)) {
		snprintf(why, why_size, "REDIS_URL: user or password refused: %s",
		    reply->str);
		return false;
	}
	if (step->optional && is_any_error(reply, forbidden_errors)) {
		log_debug("redis handshake step refused", LF("step", step->name),
		    LF("error", reply->str));
		return true;
	}
	if (redis_refusal(reply) == REDIS_REFUSES_ALL)
		return true;
	if (redis_is_error(reply, "")) {
		snprintf(why, why_size, "%s refused: %s", step->name, reply->str);
		return false;
	}
	if (is_replica(reply)) {
		snprintf(why, why_size, "server unfit: it is a replica");
		return false;
	}
	return true;
}
