/*
 * What a user's session costs packed (common/user_session.h), beside the same
 * members as a JSON object with their names, and as a bare JSON array.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/user_session.h"

#define NOW_MS 1795353600000
#define TEXT_MAX 4096

static const struct {
	const char *name;
	struct user_session record;
} samples[] = {
	{ "just opened, anonymous", {
		.epoch = 1,
		.transport = SLICE("sse"),
		.user_kind = SLICE("anonymous"),
		.pod = SLICE("mcp-proxy-6b9f7c5d8-x2k4q.0.5f0c2a91"),
		.created_ms = NOW_MS,
		.seen_ms = NOW_MS } },
	{ "in use, one API, JWT", {
		.epoch = 2,
		.api = SLICE("calculator"),
		.transport = SLICE("sse"),
		.protocol = SLICE("2025-11-25"),
		.user_kind = SLICE("jwt"),
		.client = SLICE("claude-ai"),
		.client_version = SLICE("0.1.0"),
		.pod = SLICE("mcp-proxy-6b9f7c5d8-x2k4q.0.5f0c2a91"),
		.created_ms = NOW_MS,
		.seen_ms = NOW_MS + 3000000,
		.messages = 240,
		.reattaches = 1 } },
	{ "waits for its client, API key", {
		.epoch = 5,
		.api = SLICE("postgres"),
		.transport = SLICE("sse"),
		.protocol = SLICE("2025-06-18"),
		.user_kind = SLICE("key"),
		.client = SLICE("mcp-remote-fallback-test"),
		.client_version = SLICE("1.32.2"),
		.pod = SLICE("mcp-proxy-6b9f7c5d8-x2k4q.1.5f0c2a91"),
		.created_ms = NOW_MS,
		.seen_ms = NOW_MS + 7200000,
		.detached_ms = NOW_MS + 7200000,
		.detached_until_ms = NOW_MS + 7500000,
		.messages = 12345,
		.reattaches = 3,
		.recoveries = 1 } },
};

/* Without names a JSON array. */
struct json {
	struct strbuf text;
	bool names;
};

static void
add_member(const char *name, const struct slice *text, uint64_t number,
    void *arg)
{
	struct json *json = arg;

	strbuf_add_char(&json->text, ',');
	if (json->names)
		strbuf_addf(&json->text, "\"%s\":", name);
	if (text != NULL)
		strbuf_add_json(&json->text, *text);
	else
		strbuf_add_u64(&json->text, number);
}

static size_t
json_size(const struct user_session *record, bool names)
{
	struct json json = { STRBUF_INIT(TEXT_MAX), names };
	size_t n;

	strbuf_addf(&json.text, names ? "{\"version\":%d" : "[%d",
	    USER_SESSION_VERSION);
	user_session_each(record, add_member, &json);
	strbuf_add_char(&json.text, names ? '}' : ']');
	n = json.text.n;
	strbuf_release(&json.text);
	return n;
}

static double
saved(size_t packed, size_t other)
{
	return 100.0 * (1.0 - (double)packed / (double)other);
}

int
main(void)
{
	size_t sums[3] = { 0 };

	printf("%-32s %8s %8s %8s\n", "bytes", "packed", "JSON", "array");
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		const struct user_session *record = &samples[i].record;
		struct strbuf packed = STRBUF_INIT(USER_SESSION_MAX);
		size_t sizes[3];

		user_session_pack(record, &packed);
		sizes[0] = packed.n;
		sizes[1] = json_size(record, true);
		sizes[2] = json_size(record, false);
		printf("%-32s %8zu %8zu %8zu\n", samples[i].name, sizes[0],
		    sizes[1], sizes[2]);
		for (size_t k = 0; k < ARRAY_LEN(sums); k++)
			sums[k] += sizes[k];
		strbuf_release(&packed);
	}
	printf("packed saves %.0f %% of the JSON object, %.0f %% of the array\n",
	    saved(sums[0], sums[1]), saved(sums[0], sums[2]));
	return EXIT_SUCCESS;
}
