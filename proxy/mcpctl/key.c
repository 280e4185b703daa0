/*
 * API keys in Redis: mcp_api_key:{<id>} holds a key's digest, never the key.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/api_key.h"
#include "common/cli.h"
#include "common/clock.h"
#include "common/envelope.h"
#include "common/strbuf.h"
#include "proxy/mcpctl/ctl.h"

#define NAME_MAX_BYTES 128
#define SCOPES_MAX_BYTES 2048

/* What is sent and not looked at; false when Redis refused it. */
static bool
call_ok(struct ctl *ctl, const struct slice *argv, size_t argc)
{
	const struct ctl_reply *reply = ctl_call(ctl, argv, argc);

	if (reply == NULL)
		return false;
	ctl_reply_free(reply);
	return true;
}

/* create -------------------------------------------------------------------- */

struct new_key {
	const char *name;
	struct strbuf scopes;
};

/* create [--name NAME] SCOPE… */
static bool
read_arguments(int argc, char **argv, struct new_key *out)
{
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--name") == 0 && i + 1 < argc) {
			out->name = argv[++i];
		} else if (argv[i][0] == '-' || strpbrk(argv[i], "\"\\\t\r\n")) {
			fprintf(stderr, "mcpctl: '%s' is not a scope\n", argv[i]);
			return false;
		} else {
			if (out->scopes.n > 0)
				strbuf_add_char(&out->scopes, ' ');
			strbuf_add_str(&out->scopes, argv[i]);
		}
	}
	if (out->scopes.n == 0 || !strbuf_ok(&out->scopes) ||
	    strlen(out->name) > NAME_MAX_BYTES) {
		fputs("mcpctl: give the key scopes, such as calculator, "
		      "calculator:add, or '*' for everything\n", stderr);
		return false;
	}
	return true;
}

/*
 * First the index: a key that it does not list could not be found to be
 * revoked, while an id without a key is merely of no use.
 */
static bool
store(struct ctl *ctl, struct slice key, const struct new_key *new)
{
	struct slice id = api_key_id(key);
	char digest[SHA256_HEX_LEN + 1], digits[20];
	struct env_keybuf keybuf;
	struct slice sadd[] = { SLICE("SADD"), SLICE(ENV_API_KEYS_KEY), id };
	struct slice hset[] = { SLICE("HSET"),
		env_key(&keybuf, ENV_API_KEY, id), SLICE("sha256"),
		slice_of(digest, SHA256_HEX_LEN), SLICE("scopes"),
		strbuf_slice(&new->scopes), SLICE("name"), slice_str(new->name),
		SLICE("created_ms"),
		slice_of(digits, u64_decimal(digits, clock_wall_ms())) };

	ident_sha256_hex(digest, key);
	return call_ok(ctl, sadd, ARRAY_LEN(sadd)) &&
	    call_ok(ctl, hset, ARRAY_LEN(hset));
}

static int
key_create(struct ctl *ctl, int argc, char **argv)
{
	struct new_key new = { .name = "",
		.scopes = STRBUF_INIT(SCOPES_MAX_BYTES) };
	char key[API_KEY_LEN + 1];
	int status = CLI_EXIT_USAGE;

	if (read_arguments(argc, argv, &new)) {
		api_key_make(key);
		status = EXIT_FAILURE;
		if (store(ctl, slice_str(key), &new)) {
			puts(key);
			fputs("Shown this once: only its digest is stored.\n",
			    stderr);
			status = EXIT_SUCCESS;
		}
		OPENSSL_cleanse(key, sizeof(key));
	}
	strbuf_release(&new.scopes);
	return status;
}

/* list ---------------------------------------------------------------------- */

static void
print_time(const char *ms)
{
	time_t seconds = (time_t)(strtoull(ms, NULL, 10) / 1000);
	char text[32] = "never";
	struct tm tm;

	if (seconds > 0) {
		gmtime_r(&seconds, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	}
	printf("  %-20s", text);
}

/* Texts of others: a terminal may act on control characters. */
static void
print_text(const char *text)
{
	for (; *text != '\0'; text++)
		putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' :
								      *text);
}

/* The expected state of an id whose key is gone is that it says nothing. */
static bool
print_key(struct ctl *ctl, const char *id)
{
	struct env_keybuf keybuf;
	struct slice hmget[] = { SLICE("HMGET"),
		env_key(&keybuf, ENV_API_KEY, slice_str(id)), SLICE("sha256"),
		SLICE("created_ms"), SLICE("seen_ms"), SLICE("scopes"),
		SLICE("name") };
	const struct ctl_reply *reply = ctl_call(ctl, hmget, ARRAY_LEN(hmget));

	if (reply == NULL)
		return false;
	if (ctl_reply_text(reply, 0)[0] != '\0') {
		printf("%-16s", id);
		print_time(ctl_reply_text(reply, 1));
		print_time(ctl_reply_text(reply, 2));
		fputs("  ", stdout);
		print_text(ctl_reply_text(reply, 3));
		if (ctl_reply_text(reply, 4)[0] != '\0') {
			fputs("  # ", stdout);
			print_text(ctl_reply_text(reply, 4));
		}
		putchar('\n');
	}
	ctl_reply_free(reply);
	return true;
}

static int
key_list(struct ctl *ctl, int argc, char **argv)
{
	struct slice smembers[] = { SLICE("SMEMBERS"), SLICE(ENV_API_KEYS_KEY) };
	const struct ctl_reply *ids;
	bool ok = true;

	(void)argv;
	if (argc != 0)
		return CLI_EXIT_USAGE;
	ids = ctl_call(ctl, smembers, ARRAY_LEN(smembers));
	if (ids == NULL)
		return EXIT_FAILURE;
	printf("%-16s  %-20s  %-20s  %s\n", "ID", "CREATED", "LAST SEEN",
	    "SCOPES");
	for (size_t i = 0; ok && i < ctl_reply_count(ids); i++)
		ok = print_key(ctl, ctl_reply_text(ids, i));
	ctl_reply_free(ids);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* revoke -------------------------------------------------------------------- */

static int
key_revoke(struct ctl *ctl, int argc, char **argv)
{
	struct slice id = argc == 1 ? slice_str(argv[0]) : SLICE_NONE;
	struct env_keybuf keybuf;
	const struct ctl_reply *reply;
	bool existed;

	if (!api_key_id_ok(id)) {
		fputs("mcpctl: give the id of the key, the part between sk- and "
		      "the secret\n", stderr);
		return CLI_EXIT_USAGE;
	}
	struct slice del[] = { SLICE("DEL"), env_key(&keybuf, ENV_API_KEY, id) };
	struct slice srem[] = { SLICE("SREM"), SLICE(ENV_API_KEYS_KEY), id };

	reply = ctl_call(ctl, del, ARRAY_LEN(del));
	if (reply == NULL)
		return EXIT_FAILURE;
	existed = strcmp(ctl_reply_text(reply, 0), "1") == 0;
	ctl_reply_free(reply);
	if (!call_ok(ctl, srem, ARRAY_LEN(srem)))
		return EXIT_FAILURE;
	if (!existed) {
		fprintf(stderr, "mcpctl: no key %s\n", argv[0]);
		return EXIT_FAILURE;
	}
	printf("revoked %s: proxies refuse it within 30 seconds\n", argv[0]);
	return EXIT_SUCCESS;
}

const struct ctl_command ctl_key_commands[] = {
	{ "key", "create", "[--name NAME] SCOPE…",
	    "makes an API key and prints it, once", key_create },
	{ "key", "list", "", "ids, times and scopes of all keys", key_list },
	{ "key", "revoke", "ID", "ends a key", key_revoke },
	{ .noun = NULL },
};
