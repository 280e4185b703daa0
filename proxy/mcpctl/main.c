#include <event2/dns.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cli.h"
#include "common/db.h"
#include "common/log.h"
#include "common/options.h"
#include "common/redis.h"
#include "common/xalloc.h"
#include "proxy/mcpctl/ctl.h"

#define TIMEOUT_MS 5000

struct ctl_options {
	struct common_options common;
	char *database_url;
};

static const struct config_option own_table[] = {
	{ "DATABASE_URL", CONFIG_URL,
	    CONFIG_FIELD(struct ctl_options, database_url), NULL, 0, 0, NULL,
	    "PostgreSQL that keeps the API keys; without it Redis does" },
	{ .env = NULL },
};

struct ctl {
	const struct ctl_options *options;
	struct event_base *base;
	struct evdns_base *dns;
	struct redis *redis;
	struct redis_url url;
	struct ctl_reply *reply;   /* of the command at hand */
};

struct ctl_reply {
	size_t count;
	struct strbuf text[];
};

static const struct ctl_command *const nouns[] = { ctl_key_commands,
	ctl_session_commands, NULL };

static const struct config_option *const tables[] = { common_option_table,
	own_table, NULL };

static bool
check(void *config, struct strbuf *errors)
{
	struct ctl_options *o = config;
	bool ok = options_check(&o->common, errors);

	return db_check_url(o->database_url, errors) && ok;
}

const char *
ctl_database_url(const struct ctl *ctl)
{
	return ctl->options->database_url;
}

/* Redis --------------------------------------------------------------------- */

size_t
ctl_reply_count(const struct ctl_reply *reply)
{
	return reply->count;
}

const char *
ctl_reply_text(const struct ctl_reply *reply, size_t i)
{
	return i < reply->count ? strbuf_str(&reply->text[i]) : "";
}

struct slice
ctl_reply_slice(const struct ctl_reply *reply, size_t i)
{
	return i < reply->count ? strbuf_slice(&reply->text[i]) : SLICE_NONE;
}

void
ctl_reply_free(const struct ctl_reply *reply)
{
	struct ctl_reply *mine = (struct ctl_reply *)(void *)reply;

	for (size_t i = 0; i < mine->count; i++)
		strbuf_release(&mine->text[i]);
	free(mine);
}

static void
copy_text(struct strbuf *to, const redisReply *reply)
{
	strbuf_init(to, SIZE_MAX);
	if (reply->type == REDIS_REPLY_INTEGER)
		strbuf_addf(to, "%lld", reply->integer);
	else if (reply->type == REDIS_REPLY_STRING ||
	    reply->type == REDIS_REPLY_STATUS)
		strbuf_add(to, reply->str, (size_t)reply->len);
}

static struct ctl_reply *
copy_of(const redisReply *reply)
{
	bool many = reply->type == REDIS_REPLY_ARRAY;
	size_t count = many ? reply->elements : reply->type != REDIS_REPLY_NIL;
	struct ctl_reply *copy = xcalloc(1, sizeof(*copy) +
		count * sizeof(copy->text[0]));

	copy->count = count;
	for (size_t i = 0; i < count; i++)
		copy_text(&copy->text[i], many ? reply->element[i] : reply);
	return copy;
}

static void
on_reply(struct redis *r, const redisReply *reply, void *arg)
{
	struct ctl *ctl = arg;

	(void)r;
	if (reply == NULL)
		fputs("mcpctl: Redis did not answer\n", stderr);
	else if (reply->type == REDIS_REPLY_ERROR)
		fprintf(stderr, "mcpctl: Redis: %s\n", reply->str);
	else
		ctl->reply = copy_of(reply);
	event_base_loopbreak(ctl->base);
}

static void
on_state(struct redis *r, bool ready, void *arg)
{
	struct ctl *ctl = arg;

	(void)r;
	if (ready)
		event_base_loopbreak(ctl->base);
}

static bool
connect_redis(struct ctl *ctl)
{
	const struct common_options *o = &ctl->options->common;
	struct timeval patience = { TIMEOUT_MS / 1000, 0 };
	struct redis_options options = {
		.url = &ctl->url,
		.tls_ca_file = o->redis_tls_ca,
		.client_name = "mcpctl",
		.command_timeout_ms = TIMEOUT_MS,
		.connect_timeout_ms = TIMEOUT_MS,
		.max_output_bytes = 1024 * 1024,
		.max_pending = 16,
		.on_state = on_state,
		.arg = ctl,
	};
	const char *reason;

	if (!redis_url_parse(o->redis_url, &ctl->url, &reason))
		return false;
	ctl->base = event_base_new();
	ctl->dns = evdns_base_new(ctl->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
		EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	ctl->redis = redis_new(ctl->base, ctl->dns, &options);
	redis_open(ctl->redis);
	event_base_loopexit(ctl->base, &patience);
	event_base_dispatch(ctl->base);
	if (!redis_is_ready(ctl->redis))
		fprintf(stderr, "mcpctl: no Redis at %s:%u\n", ctl->url.host,
		    ctl->url.port);
	return redis_is_ready(ctl->redis);
}

const struct ctl_reply *
ctl_call(struct ctl *ctl, const struct slice *argv, size_t argc)
{
	ctl->reply = NULL;
	if (ctl->redis == NULL && !connect_redis(ctl))
		return NULL;
	if (redis_send(ctl->redis, argv, argc, on_reply, ctl))
		event_base_dispatch(ctl->base);
	else
		fputs("mcpctl: Redis is away\n", stderr);
	return ctl->reply;
}

static void
disconnect(struct ctl *ctl)
{
	if (ctl->redis != NULL)
		redis_free(ctl->redis);
	if (ctl->dns != NULL)
		evdns_base_free(ctl->dns, 0);
	if (ctl->base != NULL)
		event_base_free(ctl->base);
	redis_url_release(&ctl->url);
}

/* Commands ------------------------------------------------------------------ */

static void
usage(FILE *to)
{
	fputs("usage: mcpctl NOUN VERB [ARGUMENT…]\n"
	      "       mcpctl --help | --version | --print-config\n\n", to);
	for (size_t i = 0; nouns[i] != NULL; i++) {
		for (const struct ctl_command *c = nouns[i]; c->noun; c++)
			fprintf(to, "  %s %s%s%s\n      %s\n", c->noun, c->verb,
			    *c->arguments ? " " : "", c->arguments, c->help);
	}
	fputs("\nRedis is found as the proxies find it: REDIS_URL, REDIS_TLS_CA,"
	      "\nfrom the environment or from .env; API keys are in PostgreSQL "
	      "where\nDATABASE_URL is set.\n", to);
}

static const struct ctl_command *
find(const char *noun, const char *verb)
{
	for (size_t i = 0; nouns[i] != NULL; i++) {
		for (const struct ctl_command *c = nouns[i]; c->noun; c++) {
			if (strcmp(c->noun, noun) == 0 &&
			    strcmp(c->verb, verb) == 0)
				return c;
		}
	}
	return NULL;
}

static int
run(const struct ctl_command *command, int argc, char **argv)
{
	static const struct cli cli = { .program = "mcpctl",
		.summary = "what operators do by hand", .tables = tables,
		.check = check };
	struct ctl_options options = { .database_url = NULL };
	struct ctl ctl = { .options = &options };
	int status = cli_start(&cli, 1, argv, &options);

	if (status != CLI_GO_ON)
		return status;
	log_setup("mcpctl", "", LOG_LEVEL_ERROR);
	signal(SIGPIPE, SIG_IGN);
	status = command->run(&ctl, argc - 3, argv + 3);
	disconnect(&ctl);
	config_release(tables, &options);
	return status;
}

/* Wherever it stands: who asks for help should not get a key. */
static bool
wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return false;
}

static int
refuse(int argc, char **argv)
{
	if (argc >= 2)
		fprintf(stderr, "mcpctl: there is no command '%s%s%s'\n\n",
		    argv[1], argc >= 3 ? " " : "", argc >= 3 ? argv[2] : "");
	usage(stderr);
	return CLI_EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	static const struct cli cli = { .program = "mcpctl",
		.summary = "what operators do by hand", .tables = tables,
		.check = check };
	const struct ctl_command *command;
	struct ctl_options options = { .database_url = NULL };

	if (wants_help(argc, argv)) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	if (argc >= 2 && argv[1][0] == '-')
		return cli_start(&cli, argc, argv, &options);
	command = argc >= 3 ? find(argv[1], argv[2]) : NULL;
	if (command != NULL)
		return run(command, argc, argv);
	return refuse(argc, argv);
}
