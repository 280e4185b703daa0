/*
 * Sessions as their users' records tell of them (common/user_session.h), which
 * redis-cli shows as packed bytes.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cli.h"
#include "common/envelope.h"
#include "common/ident.h"
#include "common/user_session.h"
#include "proxy/mcpctl/ctl.h"

#define LIST_MAX 1000

static bool
is_hex(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!isxdigit((unsigned char)text[i]))
			return false;
	}
	return text[n] == '\0';
}

/* The reply to a GET of the record. */
static const struct ctl_reply *
get_record(struct ctl *ctl, const char *user, const char *sid)
{
	struct env_keybuf keybuf;
	struct slice get[] = { SLICE("GET"), env_user_session_key(&keybuf,
	    slice_str(user), slice_str(sid)) };

	return ctl_call(ctl, get, ARRAY_LEN(get));
}

/* show ---------------------------------------------------------------------- */

static bool
is_time(const char *name)
{
	size_t n = strlen(name);

	return n > 3 && strcmp(name + n - 3, "_ms") == 0;
}

static void
print_member(const char *name, const struct slice *text, uint64_t number,
    void *arg)
{
	(void)arg;
	printf("%-18s ", name);
	if (text != NULL)
		ctl_print_text(*text);
	else if (is_time(name))
		ctl_print_time(number);
	else
		printf("%llu", (unsigned long long)number);
	putchar('\n');
}

static int
show(struct ctl *ctl, const char *user, const char *sid)
{
	const struct ctl_reply *reply = get_record(ctl, user, sid);
	struct user_session record;
	int status = EXIT_FAILURE;

	if (reply == NULL)
		return EXIT_FAILURE;
	if (user_session_unpack(ctl_reply_slice(reply, 0), &record)) {
		printf("%-18s %s\n", "session", sid);
		printf("%-18s %s\n", "user", user);
		user_session_each(&record, print_member, NULL);
		status = EXIT_SUCCESS;
	} else {
		fputs("mcpctl: there is no record of this session\n", stderr);
	}
	ctl_reply_free(reply);
	return status;
}

/* The session's hash says whose it is, and so where its record is. */
static int
session_show(struct ctl *ctl, int argc, char **argv)
{
	struct env_keybuf keybuf;
	const struct ctl_reply *reply;
	int status = EXIT_FAILURE;

	if (argc != 1 || strlen(argv[0]) != SID_LEN ||
	    !is_hex(argv[0], SID_LEN)) {
		fputs("mcpctl: give the session's id, 32 hex digits\n", stderr);
		return CLI_EXIT_USAGE;
	}
	struct slice hget[] = { SLICE("HGET"), env_key(&keybuf, ENV_SESSION,
	    slice_str(argv[0])), SLICE("user") };

	reply = ctl_call(ctl, hget, ARRAY_LEN(hget));
	if (reply == NULL)
		return EXIT_FAILURE;
	if (ctl_reply_text(reply, 0)[0] == '\0')
		fprintf(stderr, "mcpctl: no session %s\n", argv[0]);
	else
		status = show(ctl, ctl_reply_text(reply, 0), argv[0]);
	ctl_reply_free(reply);
	return status;
}

/* list ---------------------------------------------------------------------- */

static void
print_row(const char *sid, const struct user_session *record)
{
	printf("%s  %-8s  ", sid,
	    record->detached_until_ms != 0 ? "waiting" : "open");
	ctl_print_time(record->created_ms);
	fputs("  ", stdout);
	ctl_print_time(record->seen_ms);
	fputs("  ", stdout);
	ctl_print_text(record->api.n > 0 ? record->api : SLICE("(all)"));
	fputs("  ", stdout);
	ctl_print_text(record->client.n > 0 ? record->client :
					      SLICE("(unknown)"));
	putchar('\n');
}

/* A member whose session is gone has no record any more. */
static bool
list_one(struct ctl *ctl, const char *user, const char *sid)
{
	const struct ctl_reply *reply = get_record(ctl, user, sid);
	struct user_session record;

	if (reply == NULL)
		return false;
	if (user_session_unpack(ctl_reply_slice(reply, 0), &record))
		print_row(sid, &record);
	ctl_reply_free(reply);
	return true;
}

static int
session_list(struct ctl *ctl, int argc, char **argv)
{
	struct env_keybuf keybuf;
	const struct ctl_reply *sids;
	bool ok = true;
	char digits[20];

	if (argc != 1 || strlen(argv[0]) != SHA256_HEX_LEN ||
	    !is_hex(argv[0], SHA256_HEX_LEN)) {
		fputs("mcpctl: give the user's hash, 64 hex digits\n", stderr);
		return CLI_EXIT_USAGE;
	}
	struct slice zrange[] = { SLICE("ZREVRANGE"), env_key(&keybuf,
	    ENV_USER_INDEX, slice_str(argv[0])), SLICE("0"),
		u64_slice(digits, LIST_MAX - 1) };

	sids = ctl_call(ctl, zrange, ARRAY_LEN(zrange));
	if (sids == NULL)
		return EXIT_FAILURE;
	printf("%-32s  %-8s  %-20s  %-20s  %s  %s\n", "SESSION", "STATE",
	    "CREATED", "LAST SEEN", "API", "CLIENT");
	for (size_t i = 0; ok && i < ctl_reply_count(sids); i++)
		ok = list_one(ctl, argv[0], ctl_reply_text(sids, i));
	ctl_reply_free(sids);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct ctl_command ctl_session_commands[] = {
	{ "session", "show", "SESSION", "what is known of a session",
	    session_show },
	{ "session", "list", "USER",
	    "a user's sessions by last seen, the latest thousand",
	    session_list },
	{ .noun = NULL },
};
