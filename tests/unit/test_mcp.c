/* Which requests are answered in the proxy, and how. */
#include "proxy/mcp.h"

#include <check.h>

#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

static struct redis *commands;
static struct catalog *catalog;
static struct strbuf answer = STRBUF_INIT(1 << 16);

#define ADD "{\"name\":\"add\"}"

static void
setup(void)
{
	wait_setup();
	server_setup();
	commands = server_connect(NULL);
	catalog = catalog_new(commands, 1);
	server_do("SADD mcp_apis calc");
	server_do("HSET mcp_api:{calc} digest d catalogue %s",
	    "{\"tools\":[" ADD ",{\"name\":\"sub\"}]}");
	catalog_tick(catalog);
	WAIT(catalog_is_loaded(catalog));
}

static void
teardown(void)
{
	redis_free(commands);
	catalog_free(catalog);
	strbuf_release(&answer);
	server_teardown();
	wait_teardown();
}

static const struct catalog_item *
ask(const char *api, const char *text)
{
	struct mcp_scope scope = { catalog, slice_str(api), NULL };
	struct mcp_target to;
	struct jsonrpc_msg m;

	strbuf_reset(&answer);
	ck_assert_int_eq(jsonrpc_peek(text, strlen(text), &m), 0);
	ck_assert_int_eq(m.kind, JSONRPC_REQUEST);
	return mcp_request(&scope, &m, &answer, &to) ? to.item : NULL;
}

#define REQUEST(id, method) "{\"jsonrpc\":\"2.0\",\"id\":" id                  \
	",\"method\":\"" method "\"}"
#define REQUEST_WITH(id, method, params) "{\"jsonrpc\":\"2.0\",\"id\":" id     \
	",\"method\":\"" method "\",\"params\":" params "}"
#define RESULT(id, result) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":"    \
	result "}"

static const struct {
	const char *wanted, *given;
} versions[] = {
	{ "2024-11-05", "2024-11-05" },
	{ "2025-03-26", "2025-03-26" },
	{ "2025-06-18", "2025-06-18" },
	{ "2025-11-25", "2025-11-25" },
	/* That one has no initialize: who asks is offered the latest. */
	{ "2026-07-28", "2025-11-25" },
	{ "2024-11-0", "2025-11-25" },
	{ "", "2025-11-25" },
};

START_TEST(initialize_negotiates_the_version)
{
	struct strbuf text = STRBUF_INIT(1024), wanted = STRBUF_INIT(1024);

	ck_assert_str_eq(mcp_negotiate(slice_str(versions[_i].wanted)),
	    versions[_i].given);
	strbuf_addf(&text, REQUEST_WITH("0", "initialize",
	    "{\"protocolVersion\":\"%s\"}"), versions[_i].wanted);
	ck_assert_ptr_null(ask("", text.p));
	strbuf_addf(&wanted, "\"result\":{\"protocolVersion\":\"%s\","
	    "\"capabilities\":{\"tools\":{\"listChanged\":true},\"logging\":{}},\"serverInfo\":{\"name\":"
	    "\"mcp-relay\",\"version\":\"" MCP_VERSION "\"}}}",
	    versions[_i].given);
	ck_assert_ptr_nonnull(strstr(answer.p, wanted.p));
	strbuf_release(&text);
	strbuf_release(&wanted);
}
END_TEST

static const char *const ids[] = { "0", "-1", "9223372036854775808",
	"1.5e3", "\"\"", "\"a\\u0041\\n\"" };

START_TEST(ids_come_back_as_they_were)
{
	struct strbuf text = STRBUF_INIT(1024), wanted = STRBUF_INIT(1024);

	strbuf_addf(&text, REQUEST("%s", "ping"), ids[_i]);
	strbuf_addf(&wanted, RESULT("%s", "{}"), ids[_i]);
	ck_assert_ptr_null(ask("", text.p));
	ck_assert_str_eq(answer.p, wanted.p);
	strbuf_release(&text);
	strbuf_release(&wanted);
}
END_TEST

static const struct {
	const char *api, *request, *answer;
} answers[] = {
	{ "calc", REQUEST("1", "tools/list"),
	    RESULT("1", "{\"tools\":[" ADD "],\"nextCursor\":\"calc_add\"}") },
	{ "", REQUEST("1", "tools/list"),
	    RESULT("1", "{\"tools\":[{\"name\":\"calc_add\"}],"
			"\"nextCursor\":\"calc_add\"}") },
	{ "calc", REQUEST_WITH("1", "tools/list", "{\"cursor\":\"calc_add\"}"),
	    RESULT("1", "{\"tools\":[{\"name\":\"sub\"}]}") },
	{ "other", REQUEST("1", "tools/list"), RESULT("1", "{\"tools\":[]}") },
};

START_TEST(lists_come_from_the_catalogue)
{
	ck_assert_ptr_null(ask(answers[_i].api, answers[_i].request));
	ck_assert_str_eq(answer.p, answers[_i].answer);
}
END_TEST

static const struct {
	const char *request, *code, *says;
} errors[] = {
	{ REQUEST("7", "server/discover"), "-32601", "Method not found" },
	{ REQUEST("7", "tools/lis"), "-32601", "Method not found" },
	{ REQUEST("7", ""), "-32601", "Method not found" },
	{ REQUEST("7", "initialize"), "-32602", "protocolVersion" },
	{ REQUEST_WITH("7", "initialize", "{\"protocolVersion\":1}"), "-32602",
	    "protocolVersion" },
	{ REQUEST_WITH("7", "tools/list", "{\"cursor\":\"x\"}"), "-32602",
	    "cursor" },
	{ REQUEST_WITH("7", "tools/list", "{\"cursor\":5}"), "-32602",
	    "cursor" },
	{ REQUEST("7", "tools/call"), "-32602", "params.name is missing" },
	{ REQUEST_WITH("7", "tools/call", "{\"name\":1}"), "-32602",
	    "must be a string" },
	{ REQUEST_WITH("7", "tools/call", "{\"name\":\"add\\u0000\"}"),
	    "-32602", "must be a string" },
	{ REQUEST_WITH("7", "tools/call", "{\"name\":\"m\\u00fcl\"}"),
	    "-32602", "Unknown tool: m\xc3\xbcl" },
	{ REQUEST_WITH("7", "tools/call", "{\"name\":\"mul\"}"), "-32602",
	    "Unknown tool: mul" },
	{ REQUEST_WITH("7", "tools/call", "{\"name\":\"\"}"), "-32602",
	    "Unknown tool: " },
};

START_TEST(errors_say_what_is_wrong)
{
	struct strbuf wanted = STRBUF_INIT(1024);

	strbuf_addf(&wanted, "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":"
	    "{\"code\":%s,\"message\":\"", errors[_i].code);
	ck_assert_ptr_null(ask("calc", errors[_i].request));
	ck_assert_msg(strncmp(answer.p, wanted.p, wanted.n) == 0, "%s",
	    answer.p);
	ck_assert_ptr_nonnull(strstr(answer.p, errors[_i].says));
	ck_assert_str_eq(answer.p + answer.n - 3, "\"}}");
	strbuf_release(&wanted);
}
END_TEST

START_TEST(a_name_longer_than_any_is_not_echoed)
{
	struct strbuf text = STRBUF_INIT(4096);

	strbuf_add_str(&text, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
	    "\"tools/call\",\"params\":{\"name\":\"");
	for (unsigned i = 0; i < 1000; i++)
		strbuf_add_char(&text, 'x');
	strbuf_add_str(&text, "\"}}");
	ck_assert_ptr_null(ask("calc", text.p));
	ck_assert_ptr_nonnull(strstr(answer.p, "not longer than"));
	ck_assert_ptr_null(strstr(answer.p, "xxx"));
	strbuf_release(&text);
}
END_TEST

START_TEST(calls_go_to_their_tool)
{
	const struct catalog_item *tool = ask("calc",
	    REQUEST_WITH("1", "tools/call", "{\"name\":\"add\"}"));

	ck_assert_ptr_nonnull(tool);
	ck_assert_str_eq(tool->name, "add");
	ck_assert_uint_eq(answer.n, 0);
	ck_assert_ptr_eq(tool, ask("calc",
	    REQUEST_WITH("1", "tools\\/call", "{\"n\\u0061me\":\"a\\u0064d\"}")));
	ck_assert_ptr_eq(tool, ask("",
	    REQUEST_WITH("1", "tools/call", "{\"name\":\"calc_add\"}")));
}
END_TEST

START_TEST(set_level_takes_known_levels_only)
{
	ask("calc", REQUEST_WITH("1", "logging/setLevel",
	    "{\"level\":\"warning\"}"));
	ck_assert_str_eq(strbuf_str(&answer),
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
	ask("calc", REQUEST_WITH("2", "logging/setLevel",
	    "{\"level\":\"loud\"}"));
	ck_assert_ptr_nonnull(strstr(strbuf_str(&answer), "-32602"));
	ask("calc", REQUEST("3", "logging/setLevel"));
	ck_assert_ptr_nonnull(strstr(strbuf_str(&answer), "-32602"));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("mcp", setup, teardown);

	tcase_add_loop_test(tc, initialize_negotiates_the_version, 0,
	    (int)ARRAY_LEN(versions));
	tcase_add_loop_test(tc, ids_come_back_as_they_were, 0,
	    (int)ARRAY_LEN(ids));
	tcase_add_loop_test(tc, lists_come_from_the_catalogue, 0,
	    (int)ARRAY_LEN(answers));
	tcase_add_loop_test(tc, errors_say_what_is_wrong, 0,
	    (int)ARRAY_LEN(errors));
	tcase_add_test(tc, a_name_longer_than_any_is_not_echoed);
	tcase_add_test(tc, calls_go_to_their_tool);
	tcase_add_test(tc, set_level_takes_known_levels_only);
	return run_cases(tc);
}
