/*
 * What clients answer to requests of workers, as a proxy and a worker read it; and
 * the URIs that they ask for, against a template.
 */
#include <stdlib.h>

#include "common/uri_template.h"
#include "proxy/subscriptions.h"
#include "tests/fuzz/must.h"
#include "worker/runtime/ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An answer has a result or an error; an id that is ours is spelled one way. */
static void
check_answer(struct slice payload)
{
	char again[ENV_ASK_ID_MAX];
	struct call_answer answer;
	struct jsonrpc_msg msg;
	struct slice of, ask;
	cJSON *tree = NULL;

	if (!ask_read_answer(payload, &answer, &tree))
		return;
	MUST((answer.result != NULL) == (answer.error == 0));
	MUST(answer.result != NULL || answer.message != NULL);
	MUST(jsonrpc_peek(payload.p, payload.n, &msg) == 0);
	if (env_ask_read(msg.id, &of, &ask)) {
		MUST(env_api_name_ok(of) && ask.n == ENV_ASK_LEN);
		MUST(slice_eq(env_ask_id(again, of, ask), msg.id));
	}
	cJSON_Delete(tree);
}

/* What a template is taken apart into, puts the URI together again. */
static void
check_uri(struct slice uri)
{
	static const struct slice around[] = { SLICE("t://"), SLICE("/"),
		SLICE("-"), SLICE("") };
	struct uri_variable v[URI_VARIABLES_MAX];
	size_t count = 0, n = around[0].n;

	(void)!uri_template_covers("{a}{?b}/{c*}-{d}", uri);
	if (!uri_template_match("t://{a}/{+b}-{c}", uri, v, &count))
		return;
	MUST(uri.n > URI_LENGTH_MAX ||
	    uri_template_covers("t://{a}/{+b}-{c}", uri));
	MUST(count == 3);
	for (size_t i = 0; i < count; i++) {
		MUST(v[i].value.n > 0 && v[i].value.p == uri.p + n);
		n += v[i].value.n + around[i + 1].n;
	}
	MUST(n == uri.n);
}

static void
check_subscription(struct slice uri)
{
	char *text = NULL;

	if (memchr(uri.p, '\n', uri.n) || memchr(uri.p, '\0', uri.n) ||
	    !subscriptions_add(&text, uri))
		return;
	MUST(subscriptions_add(&text, SLICE("other")));
	MUST(subscriptions_have(text, uri));
	subscriptions_remove(&text, uri);
	MUST(!subscriptions_have(text, uri));
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of((const char *)data, size);

	if (size == 0)
		return 0;
	check_answer(input);
	check_uri(input);
	check_subscription(input);
	return 0;
}
