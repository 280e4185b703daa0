/*
 * Any bytes as an overlay, up to the first NUL, and behind it as a description:
 * both together make tools, whose requests are made, and whatever the bytes are,
 * a tool's schema is JSON and its name is one.
 */
#include <stdlib.h>

#include "tests/fuzz/must.h"
#include "worker/openapi/request.h"
#include "worker/openapi/toolbox.h"
#include "worker/json/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char DEFAULT_SPEC[] =
    "openapi: 3.0.0\n"
    "servers: [{url: 'http://a'}]\n"
    "paths:\n"
    "  /a/{id}:\n"
    "    get: {operationId: a, tags: [t], parameters: [{name: id, in: path,"
    " required: true, schema: {type: string}}, {name: q, in: query}]}\n"
    "    post: {parameters: [{name: id, in: path, required: true}],"
    " requestBody: {content: {application/json: {schema: {type: object,"
    " properties: {x: {type: integer}}}}}}}\n";
static const char DEFAULT_OVERLAY[] =
    "server: http://b\nexpose: [{path: '*'}]\n";

static char *
copy_of(const void *p, size_t n)
{
	char *copy = malloc(n + 1);

	MUST(copy != NULL);
	if (n > 0)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return copy;
}

/* What models may send: in whatever place, it stays there. */
static const char *const values[] = {
	"\"../x\\r\\ny\"",
	"-1234567890123456789.50e-7",
	"[\"a b\",null,[1.50],{\"c&\":true}]",
	"{\"a/b\":\"\\r\\n\",\"c\":{\"d]\":[9007199254740993]},\"e\":[]}",
	"\"data:image/png;base64,aGk=\"",
};

static cJSON *
arguments(const struct binding *b, const char *value)
{
	cJSON *args = cJSON_CreateObject();

	for (size_t i = 0; i < b->op.parameter_count; i++) {
		const char *name = b->op.parameters[i].argument;
		cJSON *one = cJSON_Parse(value);

		number_keep_all(one, slice_str(value), NUMBER_AS_WRITTEN);
		if (name == NULL || cJSON_HasObjectItem(args, name))
			cJSON_Delete(one);
		else
			cJSON_AddItemToObject(args, name, one);
	}
	return args;
}

static void
try_request(const struct binding *b, const char *value)
{
	struct strbuf error = STRBUF_INIT(4096);
	cJSON *args = arguments(b, value);
	struct request r;

	if (request_init(&r, &b->op, b->server, args, &error)) {
		struct strbuf url = STRBUF_INIT(1);

		request_finish(&r);
		if (request_url(&r, &url))
			MUST(
			    strpbrk(strbuf_str(&r.query), "\r\n #") == NULL);
		for (size_t i = 0; i < r.header_count; i++)
			MUST(strpbrk(r.headers[i], "\r\n") == NULL);
		strbuf_release(&url);
	} else {
		MUST(error.n > 0);
	}
	request_release(&r);
	cJSON_Delete(args);
	strbuf_release(&error);
}

static void
check_tool(const struct tool *tool)
{
	cJSON *schema = cJSON_Parse(tool->input_schema);

	MUST(schema != NULL);
	MUST(strlen(tool->name) > 0 && strlen(tool->name) <= 56);
	MUST(tool->description != NULL);
	cJSON_Delete(schema);
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		try_request(tool->data, values[i]);
}

static void
make_tools(struct overlay *overlay, struct spec *spec)
{
	struct toolbox *box = toolbox_new(&(struct toolbox_options){
	    .spec = spec, .overlay = overlay, .max_bytes = 1000 });
	struct strbuf problems = STRBUF_INIT(4096);

	spec_free(spec);
	for (size_t i = 0; i < box->count; i++)
		check_tool(&box->tools[i]);
	(void)!overlay_all_used(overlay, &problems);
	strbuf_release(&problems);
	toolbox_free(box);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
	size_t n = end ? (size_t)(end - data) : size;
	bool own = end != NULL && size - n > 1;
	struct strbuf error = STRBUF_INIT(4096);
	const char *text = own ? (const char *)end + 1 : DEFAULT_SPEC;
	size_t length = own ? size - n - 1 : strlen(DEFAULT_SPEC);
	bool plain = n == 0;
	struct overlay *overlay = overlay_new("overlay",
	    copy_of(plain ? DEFAULT_OVERLAY : (const char *)data,
		plain ? strlen(DEFAULT_OVERLAY) : n),
	    plain ? strlen(DEFAULT_OVERLAY) : n, &error);
	struct spec *spec = spec_of_text(
	    "http://host/spec", copy_of(text, length), length, &error);

	if (overlay != NULL && spec != NULL)
		make_tools(overlay, spec);
	else
		spec_free(spec);
	overlay_free(overlay);
	strbuf_release(&error);
	return 0;
}
