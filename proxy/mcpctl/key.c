/*
 * API keys: made, listed and ended in the store that the settings name.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/api_key.h"
#include "common/cli.h"
#include "common/strbuf.h"
#include "proxy/mcpctl/key_store.h"

#define NAME_MAX_BYTES 128
#define SCOPES_MAX_BYTES 2048

static const struct ctl_key_store *
store_of(const struct ctl *ctl)
{
	return ctl_database_url(ctl) != NULL ? &ctl_keys_in_postgres :
					       &ctl_keys_in_redis;
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

static bool
store(struct ctl *ctl, struct slice key, const struct new_key *new)
{
	struct slice id = api_key_id(key);
	char digest[SHA256_HEX_LEN + 1], name[API_KEY_ID_LEN + 1];
	struct ctl_key row = { .id = name, .sha256 = digest,
		.scopes = strbuf_str(&new->scopes), .name = new->name };

	memcpy(name, id.p, id.n);
	name[id.n] = '\0';
	ident_sha256_hex(digest, key);
	return store_of(ctl)->add(ctl, &row);
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
print_time(uint64_t ms)
{
	fputs("  ", stdout);
	ctl_print_time(ms);
}

static void
print_text(const char *text)
{
	ctl_print_text(slice_str(text));
}

static void
print_key(const struct ctl_key *key)
{
	printf("%-16s", key->id);
	print_time(key->created_ms);
	print_time(key->seen_ms);
	fputs("  ", stdout);
	print_text(key->scopes);
	if (key->name[0] != '\0') {
		fputs("  # ", stdout);
		print_text(key->name);
	}
	putchar('\n');
}

static int
key_list(struct ctl *ctl, int argc, char **argv)
{
	(void)argv;
	if (argc != 0)
		return CLI_EXIT_USAGE;
	printf("%-16s  %-20s  %-20s  %s\n", "ID", "CREATED", "LAST SEEN",
	    "SCOPES");
	return store_of(ctl)->each(ctl, print_key) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* revoke -------------------------------------------------------------------- */

static int
key_revoke(struct ctl *ctl, int argc, char **argv)
{
	struct slice id = argc == 1 ? slice_str(argv[0]) : SLICE_NONE;
	bool existed = false;

	if (!api_key_id_ok(id)) {
		fputs("mcpctl: give the id of the key, the part between sk- and "
		      "the secret\n", stderr);
		return CLI_EXIT_USAGE;
	}
	if (!store_of(ctl)->remove(ctl, argv[0], &existed))
		return EXIT_FAILURE;
	if (!existed) {
		fprintf(stderr, "mcpctl: no key %s\n", argv[0]);
		return EXIT_FAILURE;
	}
	printf("revoked %s: proxies refuse it within 30 seconds\n", argv[0]);
	return EXIT_SUCCESS;
}

static int
key_schema(struct ctl *ctl, int argc, char **argv)
{
	(void)ctl;
	(void)argv;
	if (argc != 0)
		return CLI_EXIT_USAGE;
	puts(ctl_keys_schema);
	return EXIT_SUCCESS;
}

const struct ctl_command ctl_key_commands[] = {
	{ "key", "create", "[--name NAME] SCOPE…",
	    "makes an API key and prints it, once", key_create },
	{ "key", "list", "", "ids, times and scopes of all keys", key_list },
	{ "key", "revoke", "ID", "ends a key", key_revoke },
	{ "key", "schema", "", "prints the SQL of the table in PostgreSQL, which "
	    "create makes by itself if it may", key_schema },
	{ .noun = NULL },
};
