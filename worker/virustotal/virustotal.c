/*
 * Reports of VirusTotal's API v3: what some seventy engines think of an address,
 * a domain, a file or a URL.
 */
#include <ctype.h>
#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/runtime/tool.h"
#include "worker/runtime/upstream.h"
#include "worker/virustotal/report.h"
#include "worker/virustotal/subject.h"

/* What a tool says at most; the runtime refuses more than 1 MiB. */
#define TEXT_MAX ((size_t)200 << 10)
#define URL_BYTES_MAX 8192
/* Of what the upstream says about an error. */
#define MESSAGE_MAX 512

struct settings {
	char *key;
	char *url;
	struct upstream_settings upstream;
};

#define FIELD(name) CONFIG_FIELD(struct settings, name)

static const struct config_option options[] = {
	{ "VIRUSTOTAL_API_KEY", CONFIG_SECRET, FIELD(key), NULL, 0, 0, NULL,
	    "key of the VirusTotal API" },
	{ "VIRUSTOTAL_URL", CONFIG_STRING, FIELD(url),
	    "https://www.virustotal.com", 0, 0, NULL,
	    "where the VirusTotal API is, without its /api/v3" },
	UPSTREAM_OPTION_ROWS(FIELD(upstream)),
	{ .env = NULL },
};

struct virustotal {
	const struct settings *settings;
	struct egress *egress;
	struct upstream *upstream;
	char *key_header;
};

struct lookup {
	struct call *call;
	const struct subject_kind *kind;
	struct upstream_transfer *transfer;
};

/* Settings --------------------------------------------------------------- */

/* A header's value: one word without a line end. */
static bool
key_ok(const char *key)
{
	for (; *key != '\0'; key++) {
		if (!isgraph((unsigned char)*key))
			return false;
	}
	return true;
}

static bool
url_ok(const char *url)
{
	char *host = upstream_url_host(url);
	bool ok = host != NULL && strpbrk(url, "?#@ ") == NULL &&
		  (strncmp(url, "https://", 8) == 0 ||
		      strncmp(url, "http://", 7) == 0);

	free(host);
	return ok;
}

static bool
check(void *settings, struct strbuf *errors)
{
	struct settings *s = settings;
	bool ok = upstream_settings_ok(&s->upstream, errors);

	if (s->key != NULL && !key_ok(s->key)) {
		strbuf_add_str(errors, "VIRUSTOTAL_API_KEY: holds a blank or a "
				       "control character\n");
		ok = false;
	}
	if (!url_ok(s->url)) {
		strbuf_addf(errors,
		    "VIRUSTOTAL_URL: \"%s\" is not an http:// "
		    "or https:// URL without query, user and fragment\n",
		    /* Before an "@" there may be a password. */
		    strchr(s->url, '@') != NULL ? "***" : s->url);
		ok = false;
	}
	return ok;
}

/* Answers ---------------------------------------------------------------- */

static void
answer_report(const struct lookup *lookup, struct slice body)
{
	struct strbuf text = STRBUF_INIT(TEXT_MAX);
	struct strbuf json = STRBUF_INIT(TEXT_MAX);

	if (!report_read(lookup->kind, body, &text, &json))
		call_error(lookup->call, "VirusTotal's answer is not a report "
					 "(is VIRUSTOTAL_URL right?)");
	else if (!strbuf_ok(&text) || !strbuf_ok(&json))
		call_error(lookup->call, "VirusTotal's report is too large");
	else
		call_json(
		    lookup->call, strbuf_slice(&text), strbuf_slice(&json));
	strbuf_release(&text);
	strbuf_release(&json);
}

/*
 * What an error means to the model, by its code or else by its status
 * (https://docs.virustotal.com/reference/errors); for others its code and message
 * have to do.
 */
static const struct {
	int status;
	const char *code; /* NULL: any */
	const char *meaning;
} meanings[] = {
	{ 400, "NotAvailableYet",
	    "VirusTotal has no report on it yet: try again later" },
	{ 400, NULL, "VirusTotal did not take the request" },
	{ 401, NULL,
	    "VirusTotal refused the API key: the operator must check "
	    "VIRUSTOTAL_API_KEY" },
	{ 403, NULL, "this VirusTotal API key may not do that" },
	{ 404, NULL, "VirusTotal has no report on it" },
	{ 429, "TooManyRequestsError", "VirusTotal gets too many requests" },
	{ 429, NULL, "VirusTotal's quota for this API key is used up" },
	{ 503, NULL, "VirusTotal is not available at the moment" },
	{ 504, NULL, "VirusTotal took too long" },
};

static const char *
meaning_of(int status, const char *code)
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		const char *other = meanings[i].code;

		if (meanings[i].status == status &&
		    (other == NULL || strcmp(other, code) == 0))
			return meanings[i].meaning;
	}
	return status >= 500 ? "VirusTotal failed"
			     : "VirusTotal answered with an error";
}

static void
answer_error(
    const struct lookup *lookup, const struct upstream_response *response)
{
	struct strbuf code = STRBUF_INIT(MESSAGE_MAX);
	struct strbuf message = STRBUF_INIT(MESSAGE_MAX);
	struct strbuf text = STRBUF_INIT(8 * MESSAGE_MAX);

	report_error(response->body, &code, &message);
	strbuf_addf(&text, "%s (HTTP %d",
	    meaning_of(response->status, strbuf_str(&code)), response->status);
	if (code.n > 0)
		strbuf_addf(&text, ", %s", strbuf_str(&code));
	if (message.n > 0)
		strbuf_addf(&text, ": %s", strbuf_str(&message));
	strbuf_add_char(&text, ')');
	if (response->retry_after_known)
		strbuf_addf(
		    &text, "; try again in %u s", response->retry_after_s);
	else if (response->status == 429)
		strbuf_add_str(&text, "; try again in a minute, or tomorrow "
				      "if the daily quota is used up");
	call_error(lookup->call, "%s", strbuf_str(&text));
	strbuf_release(&code);
	strbuf_release(&message);
	strbuf_release(&text);
}

static void
on_response(const struct upstream_response *response, void *arg)
{
	struct lookup *lookup = arg;

	if (response->status == 0)
		call_error(lookup->call, "VirusTotal was not reached: %s",
		    response->error);
	else if (response->status == 200)
		answer_report(lookup, response->body);
	else
		answer_error(lookup, response);
	free(lookup);
}

/* Calls ------------------------------------------------------------------ */

static void
on_cancel(struct call *call UNUSED, void *arg)
{
	struct lookup *lookup = arg;

	upstream_cancel(lookup->transfer);
	free(lookup);
}

static void
look_up(struct call *call, const struct subject_kind *kind, const char *url)
{
	const struct virustotal *v = call_state(call);
	struct lookup *lookup = xcalloc(1, sizeof(*lookup));
	uint64_t left = call_left_ms(call);
	const char *const headers[] = { v->key_header,
		"Accept: application/json", NULL };

	lookup->call = call;
	lookup->kind = kind;
	lookup->transfer = upstream_send(v->upstream,
	    &(struct upstream_request){
		.method = "GET",
		.url = url,
		.headers = headers,
		.timeout_ms = left < UINT32_MAX ? (unsigned)left + 1 : 0,
		.done = on_response,
		.dropped = free,
		.arg = lookup,
	    });
	call_on_cancel(call, on_cancel, lookup);
}

static void
run_lookup(struct call *call, const cJSON *args)
{
	const struct subject_kind *kind = call_tool(call)->data;
	const struct virustotal *v = call_state(call);
	const char *text = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(args, kind->argument));
	size_t n = strlen(v->settings->url);
	struct strbuf url = STRBUF_INIT(URL_BYTES_MAX);

	while (n > 0 && v->settings->url[n - 1] == '/')
		n--;
	strbuf_addf(&url, "%.*s/api/v3/%s/", (int)n, v->settings->url,
	    kind->collection);
	if (kind->read(text, &url) && strbuf_ok(&url))
		look_up(call, kind, strbuf_str(&url));
	else
		call_error(call, "%s: must be %s", kind->argument, kind->form);
	strbuf_release(&url);
}

/* Life ------------------------------------------------------------------- */

static void
stop(struct worker_env *env)
{
	struct virustotal *v = worker_env_state(env);

	upstream_free(v->upstream);
	egress_free(v->egress);
	free(v->key_header);
	free(v);
	worker_env_set_state(env, NULL);
}

static bool
start(struct worker_env *env, struct strbuf *error)
{
	const struct settings *s = worker_env_settings(env);
	struct virustotal *v;
	char *host;
	bool ok;

	if (s->key == NULL) {
		strbuf_add_str(error, "VIRUSTOTAL_API_KEY is not set");
		return false;
	}
	v = xcalloc(1, sizeof(*v));
	v->settings = s;
	v->egress = egress_new();
	host = upstream_url_host(s->url);
	ok = host != NULL && egress_add_hosts(v->egress, host, error) &&
	     egress_add_networks(v->egress, s->upstream.networks, error);
	free(host);
	v->key_header = xasprintf("x-apikey: %s", s->key);
	v->upstream =
	    upstream_new(worker_env_base(env), &s->upstream, v->egress);
	worker_env_set_state(env, v);
	if (!ok)
		stop(env);
	return ok;
}

#define INPUT(argument, says) \
	"{\"type\":\"object\",\"properties\":{\"" argument "\":{" \
	"\"type\":\"string\",\"minLength\":1,\"maxLength\":2048," \
	"\"description\":\"" says "\"}}," \
	"\"required\":[\"" argument "\"],\"additionalProperties\":false}"
#define COUNT "{\"type\":\"integer\",\"minimum\":0}"
#define OUTPUT \
	"{\"type\":\"object\",\"properties\":{" \
	"\"id\":{\"type\":\"string\"}," \
	"\"type\":{\"type\":\"string\"}," \
	"\"verdict\":{\"type\":\"string\",\"description\":\"the worst that " \
	"an engine says\",\"enum\":[\"malicious\",\"suspicious\"," \
	"\"harmless\",\"undetected\",\"unknown\"]}," \
	"\"stats\":{\"type\":\"object\",\"description\":\"engines by what " \
	"they say\",\"properties\":{\"malicious\":" COUNT \
	",\"suspicious\":" COUNT ",\"harmless\":" COUNT \
	",\"undetected\":" COUNT ",\"timeout\":" COUNT "}}," \
	"\"reputation\":{\"type\":\"number\"}," \
	"\"last_analysis_date\":{\"type\":\"number\",\"description\":" \
	"\"Unix time, 0 when never\"}," \
	"\"tags\":{\"type\":\"array\"}," \
	"\"detections\":{\"type\":\"array\",\"items\":{\"type\":\"object\"," \
	"\"properties\":{\"engine\":{\"type\":\"string\"}," \
	"\"category\":{\"type\":\"string\"}," \
	"\"result\":{\"type\":\"string\"}}}}," \
	"\"details\":{\"type\":\"object\"}," \
	"\"link\":{\"type\":\"string\"}}," \
	"\"required\":[\"id\",\"type\",\"verdict\",\"stats\",\"detections\"," \
	"\"details\",\"link\"]}"

#define REPORT(tool, says, does, argument, is, kind) \
	{ \
		.name = (tool), .title = (says), .description = (does), \
		.input_schema = INPUT(argument, is), .output_schema = OUTPUT, \
		.promises = \
		    TOOL_READ_ONLY | TOOL_NOT_DESTRUCTIVE | TOOL_IDEMPOTENT, \
		.run = run_lookup, .data = &(kind), \
	}

static const struct tool tools[] = {
	REPORT("get_ip_report", "IP address report",
	    "VirusTotal's report on an IP address: verdicts of security "
	    "engines, reputation, owner, country.",
	    "ip_address", "IPv4 or IPv6 address", subject_ip_address),
	REPORT("get_domain_report", "Domain report",
	    "VirusTotal's report on a domain: verdicts of security engines, "
	    "reputation, registrar, DNS records.",
	    "domain", "domain name, such as example.com", subject_domain),
	REPORT("get_file_report", "File report",
	    "VirusTotal's report on a file, by its hash: verdicts of security "
	    "engines, names, type, threat label. Nothing is uploaded.",
	    "hash", "MD5, SHA-1 or SHA-256 in hex", subject_file),
	REPORT("get_url_report", "URL report",
	    "VirusTotal's latest report on a URL: verdicts of security "
	    "engines, final URL, title. The URL is not scanned anew.",
	    "url", "http:// or https:// URL", subject_url),
	{ .name = NULL },
};

const struct api api = {
	.name = "virustotal",
	.title = "VirusTotal",
	.instructions = "Looks up what VirusTotal knows about IP addresses, "
			"domains, files (by hash) and URLs. Reports are looked "
			"up, nothing is submitted. Public API keys allow few "
			"requests a minute: an error says when to try again.",
	.tools = tools,
	.options = options,
	.options_size = sizeof(struct settings),
	.check = check,
	.start = start,
	.stop = stop,
};
