/* Descriptions and overlays together: which tools, under which names, and why not. */
#include "worker/openapi/toolbox.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "worker/openapi/name.h"
#include "worker/openapi/secret.h"
#include "tests/unit/support/suite.h"

#define V3 "openapi: 3.0.0\nservers: [{url: 'http://a/'}]\npaths:\n"
#define V2 "swagger: '2.0'\nhost: a\npaths:\n"
#define ALL "expose: [{path: '*'}]\n"
#define SKIPPED(reason) "skipped: " reason
#define NO_SERVER(named) \
	SKIPPED("its server (" named ") is no http:// or https:// URL without " \
		"user, query, fragment and open variables: the overlay must " \
		"name one (server:)")
#define SERVER(url) \
	"openapi: 3.1.0\nservers: [{url: '" url "'}]\npaths: {/a: {get: {}}}"

static struct spec *
read_spec(const char *text)
{
	struct strbuf error = STRBUF_INIT(1024);
	struct spec *s = spec_of_text(
	    "http://host/spec.yaml", xstrdup(text), strlen(text), &error);

	ck_assert_msg(s != NULL, "%s", strbuf_str(&error));
	strbuf_release(&error);
	return s;
}

static struct overlay *
read_overlay(const char *text)
{
	struct strbuf errors = STRBUF_INIT(1024);
	struct overlay *o =
	    overlay_new("o.yaml", xstrdup(text), strlen(text), &errors);

	ck_assert_msg(o != NULL, "%s", strbuf_str(&errors));
	strbuf_release(&errors);
	return o;
}

static struct toolbox *
make(const char *spec_text, struct overlay *o)
{
	struct spec *spec = read_spec(spec_text);
	struct toolbox *box = toolbox_new(&(struct toolbox_options){
	    .spec = spec, .overlay = o, .max_bytes = 1000 });

	/* Tools need nothing of it any more. */
	spec_free(spec);
	return box;
}

/* "name server arguments; skipped: reason" of each operation. */
static void
summarize(const struct toolbox *box, struct strbuf *sb)
{
	for (size_t i = 0; i < box->count; i++) {
		const struct binding *b = box->tools[i].data;

		strbuf_addf(sb, "%s%s %s", i > 0 ? "; " : "",
		    box->tools[i].name, b->server);
		for (size_t k = 0; k < b->op.parameter_count; k++) {
			if (b->op.parameters[k].argument != NULL)
				strbuf_addf(
				    sb, " %s", b->op.parameters[k].argument);
		}
	}
	for (size_t i = 0; i < box->skipped_count; i++)
		strbuf_addf(sb, "%sskipped: %s", sb->n > 0 ? "; " : "",
		    box->skipped[i].reason);
}

static const struct {
	const char *spec, *overlay, *wanted;
} cases[] = {
	{ V3 "  /a: {get: {operationId: x}}", "{}", "" },
	{ V3 "  /a: {get: {operationId: x}, post: {}}",
	    "expose: [{method: post}]", "post_a http://a" },
	{ V3 "  /a: {get: {operationId: 'x/y z'}}",
	    "expose: [{operation: x/*}]", "x_y_z http://a" },
	{ V3 "  /a/{b}-{c}: {get: {parameters: [{name: b, in: path}, "
	     "{name: c, in: path}]}}",
	    ALL, "get_a_b_-_c http://a b c" },
	{ V3 "  /a: {get: {operationId: x, tags: [t]}, put: {operationId: y}}",
	    "expose: [{tag: t}]\nhide: [{operation: x}]", "" },
	{ V3 "  /a: {get: {operationId: x}, put: {operationId: x}}",
	    ALL "tools: {PUT /a: {name: x}}", "x http://a; x_2 http://a" },
	{ V3 "  /a: {get: {}}", ALL "server: https://b/c//",
	    "get_a https://b/c" },
	{ V3 "  /a: {servers: [{url: /v1}], get: {}}", ALL,
	    "get_a http://host/v1" },
	{ V3 "  /a: {get: {servers: [{url: 'https://{h}.x', variables: {h: "
	     "{default: www}}}]}}",
	    ALL, "get_a https://www.x" },
	/* The description's own host. */
	{ "openapi: 3.1.0\npaths: {/a: {get: {}}}", ALL, "get_a http://host" },
	{ "openapi: 3.1.0\nservers: [{url: 'ftp://x'}]\npaths: {/a: {get: {}}}",
	    ALL, NO_SERVER("ftp://x") },
	{ SERVER("https://{tenant}.x"), ALL, NO_SERVER("https://{tenant}.x") },
	{ SERVER("https://a b"), ALL, NO_SERVER("https://a b") },
	{ SERVER("https://a:99999"), ALL, NO_SERVER("https://a:99999") },
	{ SERVER("https://.x"), ALL, NO_SERVER("https://.x") },
	{ SERVER("https://u:p@x"), ALL, NO_SERVER("https://u:p@x") },
	{ SERVER("https://x/a?b"), ALL, NO_SERVER("https://x/a?b") },
	{ SERVER("https://x/a#b"), ALL, NO_SERVER("https://x/a#b") },
	{ SERVER("HTTPS://X/a/"), ALL, "get_a https://X/a" },
	{ SERVER("http://[::1]:8/a"), ALL, "get_a http://[::1]:8/a" },
	/* Relative to where the description came from. */
	{ SERVER("//x/a"), ALL, "get_a http://x/a" },
	{ SERVER("/v1/"), ALL, "get_a http://host/v1" },
	{ SERVER("v1"), ALL, "get_a http://host/v1" },
	{ SERVER("../v1"), ALL, "get_a http://host/v1" },
	{ "swagger: '2.0'\nschemes: [http]\nhost: h:1\nbasePath: /b\n"
	  "paths: {/a: {get: {}}}",
	    ALL, "get_a http://h:1/b" },
	{ V2 "  /a: {get: {}}", ALL, "get_a https://a" },
	{ V2 "  /a: {post: {parameters: [{in: body, name: b, schema: {type: "
	     "object, properties: {x: {}}}}]}}",
	    ALL, "post_a https://a x" },
	{ V2 "  /a: {parameters: [{in: formData, name: f, type: string}], "
	     "post: {}}",
	    ALL, "post_a https://a f" },
	{ V2 "  /a: {post: {consumes: [text/xml], parameters: [{in: body, name:"
	     " b, schema: {}}]}}",
	    ALL, "post_a https://a body" },
	{ V2 "  /a: {post: {consumes: [text/xml, image/png], parameters: [{in: "
	     "body, name: b, schema: {properties: {x: {}}}}]}}",
	    ALL,
	    SKIPPED("no body that can be made: image/png is neither JSON, form "
		    "nor text, and its schema no string") },
	{ V2 "  /a: {post: {consumes: [multipart/form-data], parameters: [{in: "
	     "body, name: b, schema: {properties: {x: {}}}}]}}",
	    ALL, "post_a https://a x" },
	{ V3 "  /a: {get: {$ref: '#/x/a', x: 1}, put: {$ref: '#/x/b'}}\n"
	     "x: {a: {operationId: b, parameters: [{in: query, name: c}]}}",
	    ALL,
	    "b http://a c; skipped: the reference #/x/b leads nowhere" },
	{ V3 "  '/a#one': {get: {}}\n  '/a?q={x}': {get: {}}", ALL,
	    "get_a_one http://a; "
	    SKIPPED("its path is none: it must begin with /, without blanks "
		    "and unpaired braces") },
	{ V2 "  /a: {get: {parameters: [{in: query, name: q, required: true, "
	     "collectionFormat: odd}]}}",
	    ALL,
	    SKIPPED("parameter q: its style or content cannot be written") },
	{ V3 "  /a: {parameters: [{name: q, in: query}, {name: r, in: query}], "
	     "get: {parameters: [{name: q, in: query, required: true}]}}",
	    ALL, "get_a http://a q r" },
	{ V3 "  /a: {get: {parameters: [{name: q, in: query, style: matrix}]}}",
	    ALL, "get_a http://a" },
	{ V3 "  /a: {get: {parameters: [{name: q, in: body, required: true}]}}",
	    ALL,
	    SKIPPED("parameter q: \"in\" is neither path, query, header nor "
		    "cookie") },
	{ V3 "  /a: {get: {parameters: [{name: a, in: query}, {name: a, in: "
	     "header}, {name: 'a ', in: query}, {name: 'a b', in: header}]}}",
	    ALL, "get_a http://a a a_header a_" },
	{ V3 "  /a b: {get: {}}", ALL,
	    SKIPPED("its path is none: it must begin with /, without blanks "
		    "and unpaired braces") },
	{ V3 "  /a: {post: {requestBody: {content: {application/xml: {}, "
	     "text/csv: {}}}}}",
	    ALL, "post_a http://a body" },
	{ V3 "  /a: {get: {parameters: [{name: q, in: query}]}}",
	    ALL "tools: {GET /a: {parameters: {q: {name: r}}}}",
	    "get_a http://a r" },
	{ V3 "  /a: {get: {parameters: [{name: q, in: query}]}}",
	    ALL "tools: {GET /a: {parameters: {q: {name: 'r s'}}}}",
	    SKIPPED("parameter q cannot be called \"r s\": the name is taken, "
		    "or not 1 to 64 of A-Za-z0-9_.-") },
	{ V3 "  /a: {get: {parameters: [{name: q, in: query}]}}",
	    ALL "defaults: {parameters: {q: {fixed: 1}}}", "get_a http://a" },
	{ V3 "  /a: {$ref: '#/x'}", ALL,
	    SKIPPED("the reference #/x leads nowhere") },
};

START_TEST(test_tools)
{
	struct overlay *o = read_overlay(cases[_i].overlay);
	struct toolbox *box = make(cases[_i].spec, o);
	struct strbuf sb = STRBUF_INIT(4096);

	summarize(box, &sb);
	ck_assert_str_eq(strbuf_str(&sb), cases[_i].wanted);
	strbuf_release(&sb);
	toolbox_free(box);
	overlay_free(o);
}
END_TEST

#define READS (TOOL_READ_ONLY | TOOL_NOT_DESTRUCTIVE | TOOL_IDEMPOTENT)

static const struct {
	const char *method, *annotations;
	unsigned promises;
	bool repeatable;
} promised[] = {
	{ "get", "{}", READS, true },
	{ "head", "{}", READS, true },
	{ "post", "{}", 0, false },
	{ "patch", "{}", 0, false },
	{ "put", "{}", TOOL_IDEMPOTENT, true },
	{ "delete", "{}", TOOL_IDEMPOTENT, true },
	{ "post", "{read_only: true}", TOOL_READ_ONLY, true },
	{ "get", "{read_only: false, idempotent: false}", TOOL_NOT_DESTRUCTIVE,
	    false },
	{ "put", "{destructive: false, open_world: false}",
	    TOOL_IDEMPOTENT | TOOL_NOT_DESTRUCTIVE | TOOL_CLOSED_WORLD, true },
};

START_TEST(test_promises)
{
	struct strbuf spec = STRBUF_INIT(1024), text = STRBUF_INIT(1024);
	struct overlay *o;
	struct toolbox *box;

	strbuf_addf(
	    &spec, V3 "  /a: {%s: {operationId: x}}", promised[_i].method);
	strbuf_addf(&text, ALL "tools: {x: {annotations: %s}}",
	    promised[_i].annotations);
	o = read_overlay(strbuf_str(&text));
	box = make(strbuf_str(&spec), o);
	ck_assert_uint_eq(box->count, 1);
	ck_assert_uint_eq(box->tools[0].promises, promised[_i].promises);
	ck_assert(box->bindings[0].repeatable == promised[_i].repeatable);
	toolbox_free(box);
	overlay_free(o);
	strbuf_release(&spec);
	strbuf_release(&text);
}
END_TEST

START_TEST(test_settings_of_tools)
{
	struct overlay *o = read_overlay(
	    ALL "defaults: {timeout: 9, response: {max_bytes: 2k}}\n"
		"tools: {y: {timeout: 3, idempotency_header: K}}\n");
	struct toolbox *box = make(V3
	    "  /a: {get: {operationId: x}, post: {operationId: y, summary: S, "
	    "description: D, deprecated: true}}",
	    o);

	ck_assert_uint_eq(box->tools[0].timeout_ms, 9000);
	ck_assert_uint_eq(box->bindings[0].max_bytes, 2048);
	ck_assert_str_eq(box->tools[0].description, "GET /a");
	ck_assert_ptr_null(box->tools[0].title);
	ck_assert_uint_eq(box->tools[1].timeout_ms, 3000);
	ck_assert_str_eq(box->bindings[1].idempotency_header, "K");
	ck_assert(box->bindings[1].repeatable);
	ck_assert_str_eq(box->tools[1].description, "(deprecated) S\n\nD");
	ck_assert_str_eq(box->tools[1].title, "S");
	toolbox_free(box);
	overlay_free(o);
}
END_TEST

START_TEST(test_names)
{
	struct arena arena = { .blocks = NULL };
	struct operation op = { .method = "GET", .path = "/" };
	char long_id[200];
	const char *a, *b;

	ck_assert_str_eq(name_of(&arena, &op, NULL), "get");
	op.id = "//..//";
	ck_assert_str_eq(name_of(&arena, &op, NULL), "get");
	op.id = "\xea\xb0\x80 b";
	ck_assert_str_eq(name_of(&arena, &op, NULL), "b");
	ck_assert_str_eq(name_of(&arena, &op, "the name"), "the_name");
	memset(long_id, 'x', sizeof(long_id));
	long_id[sizeof(long_id) - 1] = '\0';
	op.id = long_id;
	a = name_of(&arena, &op, NULL);
	long_id[sizeof(long_id) - 2] = 'y';
	b = name_of(&arena, &op, NULL);
	ck_assert_uint_eq(strlen(a), NAME_MAX_BYTES);
	ck_assert_uint_eq(strlen(b), NAME_MAX_BYTES);
	ck_assert_str_ne(a, b);
	arena_release(&arena);
}
END_TEST

START_TEST(test_each_name_is_taken_once)
{
	struct arena arena = { .blocks = NULL };
	struct names *names = names_new();
	char long_name[NAME_MAX_BYTES + 1];
	const char *cut;

	memset(long_name, 'x', NAME_MAX_BYTES);
	long_name[NAME_MAX_BYTES] = '\0';
	ck_assert_str_eq(names_take(names, &arena, "a_3"), "a_3");
	ck_assert_str_eq(names_take(names, &arena, "a"), "a");
	ck_assert_str_eq(names_take(names, &arena, "a"), "a_2");
	ck_assert_str_eq(names_take(names, &arena, "a"), "a_4");
	ck_assert_str_eq(names_take(names, &arena, "a_2"), "a_2_2");
	ck_assert_str_eq(names_take(names, &arena, long_name), long_name);
	cut = names_take(names, &arena, long_name);
	ck_assert_uint_eq(strlen(cut), NAME_MAX_BYTES);
	ck_assert_str_eq(cut + NAME_MAX_BYTES - 3, "x_2");
	names_free(names);
	arena_release(&arena);
}
END_TEST

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

/* References into files stay in and below the description's directory. */
START_TEST(test_files)
{
	char directory[] = "/tmp/mcp-openapi-XXXXXX";
	struct strbuf path = STRBUF_INIT(256), error = STRBUF_INIT(1024);
	struct overlay *o = read_overlay(ALL "server: http://a");
	struct strbuf sb = STRBUF_INIT(4096);
	struct toolbox *box;
	struct spec *spec;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
	write_file("parts.yaml", "Q: {name: q, in: query, schema: {$ref: "
				 "'spec.yaml#/Word'}}\n"
				 "'a/b~c': {name: r, in: query}\n");
	ck_assert_int_eq(symlink("/etc/passwd", "link"), 0);
	write_file("spec.yaml",
	    "openapi: 3.0.0\nWord: {type: string}\npaths:\n"
	    "  /a: {get: {parameters: [{$ref: 'parts.yaml#/Q'}, "
	    "{$ref: './parts.yaml#/a~1b~0c'}]}}\n"
	    "  /b: {get: {parameters: [{$ref: 'link#/x'}]}}\n"
	    "  /c: {get: {parameters: [{$ref: '/etc/passwd#/x'}]}}\n");
	strbuf_addf(&path, "%s/spec.yaml", directory);
	spec = spec_open(strbuf_str(&path), 65536, &error);
	ck_assert_msg(spec != NULL, "%s", strbuf_str(&error));
	box = toolbox_new(&(struct toolbox_options){
	    .spec = spec, .overlay = o, .max_bytes = 1 });
	spec_free(spec);
	summarize(box, &sb);
	ck_assert_str_eq(strbuf_str(&sb),
	    "get_a http://a q r; skipped: a parameter: link is outside of the "
	    "description's directory; skipped: a parameter: /etc/passwd is "
	    "outside of the description's directory");
	ck_assert_ptr_nonnull(
	    strstr(box->tools[0].input_schema, "\"q\":{\"type\":\"string\"}"));
	toolbox_free(box);
	overlay_free(o);
	unlink("parts.yaml");
	unlink("spec.yaml");
	unlink("link");
	rmdir(directory);
	strbuf_release(&path);
	strbuf_release(&error);
	strbuf_release(&sb);
}
END_TEST

START_TEST(test_secrets)
{
	char path[] = "/tmp/mcp-secret-XXXXXX";
	struct strbuf error = STRBUF_INIT(256);
	struct secret *s;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_ptr_null(secret_open(path, &error));
	write_file(path, "a\nb");
	ck_assert_ptr_null(secret_open(path, &error));
	write_file(path, "s3 cret\r\n");
	s = secret_open(path, &error);
	ck_assert_ptr_nonnull(s);
	ck_assert_str_eq(secret_get(s), "s3 cret");
	secret_free(s);
	unlink(path);
	ck_assert_ptr_null(secret_open(path, &error));
	strbuf_release(&error);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("toolbox", NULL, NULL);

	tcase_add_loop_test(tc, test_tools, 0, ARRAY_LEN(cases));
	tcase_add_loop_test(tc, test_promises, 0, ARRAY_LEN(promised));
	tcase_add_test(tc, test_settings_of_tools);
	tcase_add_test(tc, test_names);
	tcase_add_test(tc, test_each_name_is_taken_once);
	tcase_add_test(tc, test_files);
	tcase_add_test(tc, test_secrets);
	return run_cases(tc);
}
