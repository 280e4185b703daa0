/* The published catalogues in a real Redis, as a loop sees them. */
#include "proxy/catalog.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define PAGE_SIZE 3
#define LONG_ENOUGH_MS 1000

static struct redis *commands;
static struct catalog *catalog;
static struct strbuf page = STRBUF_INIT(1 << 20);

static void
setup(void)
{
	wait_setup();
	server_setup();
	commands = server_connect(NULL);
	catalog = catalog_new(commands, PAGE_SIZE);
}

static void
teardown(void)
{
	redis_free(commands);
	catalog_free(catalog);
	strbuf_release(&page);
	server_teardown();
	wait_teardown();
}

static void
publish(const char *api, const char *digest, const char *catalogue)
{
	server_do("HSET mcp_api:{%s} digest %s catalogue %s", api, digest,
	    catalogue);
	server_do("SADD mcp_apis %s", api);
}

/* Reads what is published now. */
static void
look(void)
{
	clock_fake(clock_mono_ms() + LONG_ENOUGH_MS);
	catalog_tick(catalog);
	WAIT(redis_pending_count(commands) == 0);
}

#define ADD "{\"name\":\"add\",\"annotations\":{\"readOnlyHint\":true}}"
#define DIV "{\"name\":\"divide\",\"annotations\":{\"readOnlyHint\":false}}"
#define CALC "{\"tools\":[" ADD "," DIV "]}"

static const struct catalog_item *
find(const char *api, const char *name)
{
	return catalog_find(catalog, CATALOG_TOOLS, slice_str(api), slice_str(name));
}

/* A page of the tools of api after cursor, or NULL when it is refused. */
static const char *
list(const char *api, const char *cursor)
{
	strbuf_reset(&page);
	return catalog_list(catalog, &(struct catalog_query){ CATALOG_TOOLS,
	    slice_str(api), NULL, slice_str(cursor) }, &page) ?
	    strbuf_str(&page) : NULL;
}

START_TEST(nothing_is_known_at_first)
{
	ck_assert(!catalog_is_loaded(catalog));
	ck_assert(!catalog_has_api(catalog, SLICE("calc")));
	ck_assert_ptr_null(find("calc", "add"));
	look();
	ck_assert(catalog_is_loaded(catalog));
	ck_assert_str_eq(list("", ""), "{\"tools\":[]}");
}
END_TEST

START_TEST(a_published_tool_is_found_under_both_names)
{
	const struct catalog_item *tool;

	publish("calc", "d1", CALC);
	look();
	ck_assert(catalog_is_loaded(catalog));
	ck_assert(catalog_has_api(catalog, SLICE("calc")));
	tool = find("calc", "add");
	ck_assert_ptr_nonnull(tool);
	ck_assert_ptr_eq(tool, find("", "calc_add"));
	ck_assert_str_eq(tool->api, "calc");
	ck_assert_str_eq(tool->name, "add");
	ck_assert_ptr_null(find("", "add"));
	ck_assert_ptr_null(find("calc", "calc_add"));
	ck_assert_ptr_null(find("other", "add"));
	ck_assert_ptr_null(find("calc", "ad"));
	ck_assert_ptr_null(find("calc", ""));
	ck_assert_ptr_null(find("", ""));
}
END_TEST

static const struct {
	const char *annotations;
	bool safe;
} hints[] = {
	{ "{\"readOnlyHint\":true}", true },
	{ "{\"idempotentHint\":true}", true },
	{ "{\"readOnlyHint\":false,\"idempotentHint\":true}", true },
	{ "{\"readOnlyHint\":false}", false },
	{ "{\"readOnlyHint\":\"true\"}", false },
	{ "{\"readonlyhint\":true}", false },
	{ "{\"destructiveHint\":false}", false },
	{ "{}", false },
	{ "null", false },
	{ "[true]", false },
};

START_TEST(a_tool_is_safe_only_when_it_says_so)
{
	char text[256];

	snprintf(text, sizeof(text),
	    "{\"tools\":[{\"name\":\"t\",\"annotations\":%s}]}",
	    hints[_i].annotations);
	publish("x", "d", text);
	look();
	ck_assert_int_eq(find("x", "t")->safe, hints[_i].safe);
}
END_TEST

START_TEST(a_listing_names_tools_as_they_are_called)
{
	publish("calc", "d1", CALC);
	publish("b", "d2", "{\"tools\":[{\"name\":\"x\",\"title\":\"X\"}]}");
	look();
	ck_assert_str_eq(list("calc", ""), CALC);
	ck_assert_str_eq(list("", ""), "{\"tools\":["
	    "{\"name\":\"b_x\",\"title\":\"X\"},"
	    "{\"name\":\"calc_add\",\"annotations\":{\"readOnlyHint\":true}},"
	    "{\"name\":\"calc_divide\","
	    "\"annotations\":{\"readOnlyHint\":false}}]}");
	ck_assert_str_eq(list("none", ""), "{\"tools\":[]}");
}
END_TEST

#define REST "\"n\":1.50,\"id\":9007199254740993,\"u\":\"\\u00e9\\/\""

/* What a worker wrote, clients read: numbers to the digit, escapes as they are. */
START_TEST(a_listing_passes_items_on_as_they_are)
{
	publish("b", "d", "\n{ \"x\" : [1] , \"t\\u006fols\" : [\n"
	    "{ \"n\": 1.50 ,\t\"id\":9007199254740993,\"u\":\"\\u00e9\\/\" ,"
	    "\"n\\u0061me\":\"a\\u0062\", \"y\":\"c:\\\\\","
	    "\"z\" : \"x://a  b\"}\r\n] }");
	look();
	ck_assert_str_eq(list("b", ""), "{\"tools\":[{" REST ","
	    "\"n\\u0061me\":\"a\\u0062\",\"y\":\"c:\\\\\","
	    "\"z\":\"x://a  b\"}]}");
	ck_assert_str_eq(list("", ""), "{\"tools\":[{" REST ","
	    "\"n\\u0061me\":\"b_ab\",\"y\":\"c:\\\\\","
	    "\"z\":\"x://a  b\"}]}");
}
END_TEST

static const char *const broken_items[] = {
	"{\"name\":\"b\",\"x\":\"a\nb\"}", "{\"name\":\"b\",\"x\":01}",
	"{\"name\":\"b\",\"x\":\"\xff\"}", "{\"name\":\"b\",\"name\":\"c\"}",
};

/* cJSON takes what would break an event's lines, or a client. */
START_TEST(an_item_that_is_no_strict_json_is_left_out)
{
	char text[256];

	snprintf(text, sizeof(text), "{\"tools\":[" ADD ",%s," DIV "]}",
	    broken_items[_i]);
	publish("calc", "d", text);
	look();
	ck_assert_str_eq(list("calc", ""), CALC);
}
END_TEST

/* Behind what only a lenient reader skips, nothing is where it seems to be. */
START_TEST(items_are_not_taken_for_one_another)
{
	publish("calc", "d", "{\"tools\":[" ADD ",\x13" DIV "," ADD "]}");
	look();
	ck_assert_str_eq(list("calc", ""), "{\"tools\":[" ADD "]}");
}
END_TEST

#define T(name) "{\"name\":\"" name "\"}"

START_TEST(a_long_listing_comes_in_pages)
{
	publish("a", "d1", "{\"tools\":[" T("1") "," T("2") "," T("3") ","
	    T("4") "]}");
	publish("b", "d2", "{\"tools\":[" T("1") "," T("2") "]}");
	look();
	ck_assert_str_eq(list("", ""), "{\"tools\":[" T("a_1") "," T("a_2") ","
	    T("a_3") "],\"nextCursor\":\"a_3\"}");
	ck_assert_str_eq(list("", "a_3"), "{\"tools\":[" T("a_4") "," T("b_1")
	    "," T("b_2") "]}");
	ck_assert_str_eq(list("", "b_2"), "{\"tools\":[]}");
	ck_assert_str_eq(list("a", "a_3"), "{\"tools\":[" T("4") "]}");
}
END_TEST

/* What is hidden takes no place on a page. */
START_TEST(a_listing_shows_what_the_scopes_allow)
{
	struct scopes *granted = scopes_new(SLICE("a:2 a:4 b"));
	struct scopes *nothing = scopes_new(SLICE("none"));

	publish("a", "d1", "{\"tools\":[" T("1") "," T("2") "," T("3") ","
	    T("4") "]}");
	publish("b", "d2", "{\"tools\":[" T("1") "," T("2") "]}");
	look();
	strbuf_reset(&page);
	ck_assert(catalog_list(catalog, &(struct catalog_query){
	    CATALOG_TOOLS, SLICE(""), granted, SLICE("") }, &page));
	ck_assert_str_eq(strbuf_str(&page), "{\"tools\":[" T("a_2") ","
	    T("a_4") "," T("b_1") "],\"nextCursor\":\"b_1\"}");
	strbuf_reset(&page);
	ck_assert(catalog_list(catalog, &(struct catalog_query){
	    CATALOG_TOOLS, SLICE("a"), granted, SLICE("") }, &page));
	ck_assert_str_eq(strbuf_str(&page), "{\"tools\":[" T("2") "," T("4")
	    "]}");
	strbuf_reset(&page);
	ck_assert(catalog_list(catalog, &(struct catalog_query){
	    CATALOG_TOOLS, SLICE(""), nothing, SLICE("") }, &page));
	ck_assert_str_eq(strbuf_str(&page), "{\"tools\":[]}");
	strbuf_reset(&page);
	catalog_add_names(catalog, &page);
	ck_assert_str_eq(strbuf_str(&page), "a b");
	scopes_unref(granted);
	scopes_unref(nothing);
}
END_TEST

START_TEST(a_cursor_that_names_no_tool_is_refused)
{
	publish("a", "d1", "{\"tools\":[" T("1") "]}");
	publish("b", "d2", "{\"tools\":[" T("1") "]}");
	look();
	ck_assert_ptr_null(list("", "a_2"));
	ck_assert_ptr_null(list("", "1"));
	ck_assert_ptr_null(list("", "x"));
	ck_assert_ptr_null(list("a", "b_1"));
}
END_TEST

START_TEST(a_new_digest_brings_new_tools)
{
	publish("calc", "d1", CALC);
	look();
	publish("calc", "d1", "{\"tools\":[" T("not looked at") "]}");
	look();
	ck_assert_ptr_nonnull(find("calc", "add"));
	publish("calc", "d2", "{\"tools\":[" T("sum") "]}");
	look();
	ck_assert_ptr_null(find("calc", "add"));
	ck_assert_ptr_nonnull(find("calc", "sum"));
}
END_TEST

START_TEST(an_api_that_is_withdrawn_is_gone)
{
	publish("calc", "d1", CALC);
	publish("b", "d2", "{\"tools\":[" T("1") "]}");
	look();
	server_do("DEL mcp_api:{calc}");
	look();
	ck_assert(!catalog_has_api(catalog, SLICE("calc")));
	ck_assert_ptr_null(find("calc", "add"));
	ck_assert_str_eq(list("", ""), "{\"tools\":[" T("b_1") "]}");
	publish("calc", "d1", CALC);
	look();
	ck_assert_ptr_nonnull(find("calc", "add"));
	server_do("SREM mcp_apis calc");
	look();
	ck_assert(!catalog_has_api(catalog, SLICE("calc")));
	ck_assert_ptr_null(find("", "calc_add"));
}
END_TEST

/* What no worker of ours would publish; nothing of it may be served. */
static const char *const bad_catalogues[] = {
	"", "{", "[]", "null", "{\"tools\":{}}", "{\"tools\":[]}",
	"{\"tools\":[1,null,{},{\"name\":1},{\"name\":\"\"}]}",
};

#define NO_TOOLS 5   /* the last but one: there is nothing wrong with it */

START_TEST(a_bad_catalogue_has_no_tools)
{
	publish("x", "d", bad_catalogues[_i]);
	publish("calc", "d1", CALC);
	look();
	ck_assert(catalog_is_loaded(catalog));
	ck_assert_str_eq(list("x", ""), "{\"tools\":[]}");
	ck_assert_str_eq(list("calc", ""), CALC);
}
END_TEST

/* It could be read: an API without tools. */
START_TEST(a_malformed_catalogue_does_not_replace_a_good_one)
{
	bool bad = _i != NO_TOOLS;

	publish("calc", "d1", CALC);
	look();
	publish("calc", "d2", bad_catalogues[_i]);
	look();
	look();
	ck_assert(catalog_has_api(catalog, SLICE("calc")));
	ck_assert_str_eq(list("calc", ""), bad ? CALC : "{\"tools\":[]}");
	publish("calc", "d3", "{\"tools\":[" T("sum") "]}");
	look();
	ck_assert_ptr_nonnull(find("calc", "sum"));
	ck_assert_ptr_null(find("calc", "add"));
}
END_TEST

START_TEST(a_malformed_catalogue_is_read_once)
{
	uint64_t before;

	publish("calc", "d1", "{");
	look();
	before = redis_commands_sent(commands);
	look();
	/* The APIs, the digest and the queue; not the catalogue. */
	ck_assert_uint_eq(redis_commands_sent(commands) - before, 3);
	publish("calc", "d2", CALC);
	look();
	ck_assert_str_eq(list("calc", ""), CALC);
}
END_TEST

/* A Redis that lost its data ------------------------------------------------- */

static void
on_lost(void *arg UNUSED)
{
}

static struct pod *
beating_pod(void)
{
	static const struct pod_load load;
	struct pod *pod = pod_new(commands, SLICE("pod-a"), on_lost, NULL);

	clock_fake(clock_mono_ms());
	pod_tick(pod, &load);
	WAIT(redis_pending_count(commands) == 0);
	catalog_set_pod(catalog, pod);
	return pod;
}

START_TEST(what_a_flushed_redis_forgot_stays_known_for_a_while)
{
	struct pod *pod = beating_pod();
	static const struct pod_load load;

	publish("calc", "d1", CALC);
	publish("other", "d2", "{\"tools\":[" T("x") "]}");
	look();
	server_do("FLUSHALL");
	/* Before our own heartbeat is there again, and after it. */
	look();
	ck_assert_ptr_nonnull(find("calc", "add"));
	clock_fake(clock_mono_ms() + 2 * POD_BEAT_MS);
	pod_tick(pod, &load);
	for (unsigned i = 0; i < 5; i++) {
		look();
		ck_assert_ptr_nonnull(find("calc", "add"));
		ck_assert(catalog_has_api(catalog, SLICE("other")));
	}
	publish("calc", "d1", CALC);
	for (unsigned i = 0; i < 12; i++)
		look();
	ck_assert_ptr_nonnull(find("calc", "add"));
	ck_assert(!catalog_has_api(catalog, SLICE("other")));
	pod_free(pod);
}
END_TEST

/* The beat that finds the loss is answered before the reading behind it. */
START_TEST(a_loss_that_a_beat_has_covered_up_is_known)
{
	struct pod *pod = beating_pod();
	static const struct pod_load load;

	publish("calc", "d1", CALC);
	look();
	server_do("FLUSHALL");
	clock_fake(clock_mono_ms() + 2 * POD_BEAT_MS);
	pod_tick(pod, &load);
	catalog_tick(catalog);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_ptr_nonnull(find("calc", "add"));
	pod_free(pod);
}
END_TEST

START_TEST(an_api_that_is_withdrawn_is_gone_at_once)
{
	struct pod *pod = beating_pod();

	publish("calc", "d1", CALC);
	look();
	server_do("DEL mcp_api:{calc}");
	look();
	ck_assert_ptr_null(find("calc", "add"));
	pod_free(pod);
}
END_TEST

START_TEST(of_two_tools_of_a_name_the_first_counts)
{
	publish("x", "d", "{\"tools\":[" ADD "," T("add") "," T("b") "]}");
	look();
	ck_assert_str_eq(list("x", ""), "{\"tools\":[" ADD "," T("b") "]}");
	ck_assert(find("x", "add")->safe);
}
END_TEST

START_TEST(names_that_are_none_are_no_apis)
{
	publish("Calc", "d", CALC);
	publish("a_b", "d", CALC);
	publish("calc-", "d", CALC);
	publish("abcdefghijklmnopqrstuvwxyzabcdefg", "d", CALC);
	look();
	ck_assert(catalog_is_loaded(catalog));
	ck_assert_str_eq(list("", ""), "{\"tools\":[]}");
}
END_TEST

START_TEST(the_queue_is_measured)
{
	publish("calc", "d1", CALC);
	look();
	ck_assert_uint_eq(catalog_queue_length(catalog, "calc"), 0);
	server_do("XADD mcp_requests:{calc} * a b");
	server_do("XADD mcp_requests:{calc} * a b");
	look();
	ck_assert_uint_eq(catalog_queue_length(catalog, "calc"), 2);
	ck_assert_uint_eq(catalog_queue_length(catalog, "none"), 0);
}
END_TEST

START_TEST(it_looks_once_a_second)
{
	uint64_t before;

	look();
	before = redis_commands_sent(commands);
	clock_fake(clock_mono_ms() + LONG_ENOUGH_MS - 1);
	catalog_tick(catalog);
	ck_assert_uint_eq(redis_commands_sent(commands), before);
	clock_fake(clock_mono_ms() + 1);
	catalog_tick(catalog);
	ck_assert_uint_eq(redis_commands_sent(commands), before + 1);
	WAIT(redis_pending_count(commands) == 0);
}
END_TEST

START_TEST(what_is_known_stays_while_redis_is_away)
{
	publish("calc", "d1", CALC);
	look();
	server_freeze();
	clock_fake(clock_mono_ms() + LONG_ENOUGH_MS);
	catalog_tick(catalog);
	redis_flush(commands);
	server_thaw_and_cut();
	WAIT(!redis_is_ready(commands));
	clock_fake(clock_mono_ms() + LONG_ENOUGH_MS);
	catalog_tick(catalog);
	ck_assert_ptr_nonnull(find("calc", "add"));
	WAIT(redis_is_ready(commands));
	publish("calc", "d2", "{\"tools\":[" T("sum") "]}");
	look();
	ck_assert_ptr_nonnull(find("calc", "sum"));
}
END_TEST

START_TEST(half_a_reading_is_none)
{
	publish("calc", "d1", CALC);
	server_freeze();
	catalog_tick(catalog);
	redis_flush(commands);
	server_thaw_and_cut();
	WAIT(!redis_is_ready(commands));
	ck_assert(!catalog_is_loaded(catalog));
	WAIT(redis_is_ready(commands));
	look();
	ck_assert(catalog_is_loaded(catalog));
	ck_assert_ptr_nonnull(find("calc", "add"));
}
END_TEST

START_TEST(names_are_listed_up_to_their_limit)
{
	char longest[TOOL_NAME_MAX + 1] = "", text[512];

	memset(longest, 'n', TOOL_NAME_MAX);
	snprintf(text, sizeof(text), "{\"tools\":[{\"name\":\"%s\"},"
	    "{\"name\":\"%sn\"},{\"name\":\"a b\"}]}", longest, longest);
	publish("abcdefghijklmnopqrstuvwxyzabcdef", "d", text);
	look();
	ck_assert_ptr_nonnull(find("abcdefghijklmnopqrstuvwxyzabcdef", longest));
	/* What cannot be called is not listed. */
	snprintf(text, sizeof(text), "{\"tools\":[{\"name\":\"%s\"}]}",
	    longest);
	ck_assert_str_eq(list("abcdefghijklmnopqrstuvwxyzabcdef", ""), text);
}
END_TEST

#define OWN "{\"tools\":[{\"name\":\"own\",\"title\":\"Own\"}]}"

static void
note_tool(const struct catalog_item *tool, const struct catalog_words *words,
    void *arg)
{
	struct strbuf *out = arg;

	strbuf_addf(out, "%s:%s=%s(%s) ", tool->api, tool->name,
	    words->full_name, words->title != NULL ? words->title : "");
}

START_TEST(the_builtin_api_has_bare_names_everywhere)
{
	catalog_add_builtin(catalog, "mine", SLICE(OWN));
	publish("calc", "d1", "{\"tools\":[" ADD "]}");
	look();
	ck_assert(catalog_has_api(catalog, SLICE("mine")));
	ck_assert_ptr_nonnull(find("mine", "own"));
	ck_assert_ptr_eq(find("mine", "own"), find("", "own"));
	ck_assert(find("", "own")->builtin);
	ck_assert(!find("", "calc_add")->builtin);
	ck_assert_ptr_null(find("mine", "calc_add"));
	ck_assert_ptr_null(find("", "mine_own"));
	ck_assert_ptr_nonnull(strstr(list("", ""), "\"name\":\"own\""));
	ck_assert_ptr_nonnull(strstr(list("mine", ""), "\"name\":\"own\""));
	ck_assert_ptr_null(strstr(list("calc", ""), "\"name\":\"own\""));
	ck_assert_ptr_nonnull(list("", "own"));
	strbuf_reset(&page);
	catalog_add_names(catalog, &page);
	ck_assert_str_eq(strbuf_str(&page), "calc mine");
	strbuf_reset(&page);
	catalog_each_tool(catalog, note_tool, &page);
	ck_assert_str_eq(strbuf_str(&page),
	    "calc:add=calc_add() mine:own=own(Own) ");
	/* It has no queue. */
	ck_assert_str_eq(catalog_api_name(catalog, 0), "calc");
	ck_assert_ptr_null(catalog_api_name(catalog, 1));
}
END_TEST

START_TEST(nobody_can_publish_the_builtin_api)
{
	catalog_add_builtin(catalog, "mine", SLICE(OWN));
	publish("mine", "d1", CALC);
	look();
	ck_assert_ptr_null(find("mine", "add"));
	ck_assert_ptr_null(find("", "mine_add"));
	ck_assert_ptr_nonnull(find("mine", "own"));
	server_do("SREM mcp_apis mine");
	look();
	ck_assert_ptr_nonnull(find("mine", "own"));
}
END_TEST

/* Resources and prompts ----------------------------------------------------- */

#define OFFERS(name)                                                         \
	"{\"tools\":[],\"resources\":[{\"uri\":\"t://both\",\"name\":\"" name  \
	"\"},{\"uri\":\"t://" name "\",\"name\":\"n\"}],"                      \
	"\"resourceTemplates\":[{\"uriTemplate\":\"t://" name "/{x}\","       \
	"\"name\":\"n\"}],\"prompts\":[{\"name\":\"p\"}],\"completions\":true}"

static const char *
list_of(enum catalog_kind kind, const char *api, const struct scopes *granted)
{
	strbuf_reset(&page);
	ck_assert(catalog_list(catalog, &(struct catalog_query){ kind,
	    slice_str(api), granted, SLICE("") }, &page));
	return strbuf_str(&page);
}

static const struct catalog_item *
find_uri(const char *api, const char *uri, const struct scopes *granted)
{
	return catalog_find_uri(catalog, slice_str(api), granted,
	    slice_str(uri));
}

START_TEST(a_uri_is_the_first_api_s)
{
	publish("a", "d1", OFFERS("a"));
	publish("b", "d1", OFFERS("b"));
	look();
	ck_assert_str_eq(find_uri("", "t://both", NULL)->api, "a");
	ck_assert_str_eq(find_uri("b", "t://both", NULL)->api, "b");
	ck_assert_str_eq(find_uri("", "t://b", NULL)->api, "b");
	ck_assert_str_eq(find_uri("", "t://b/7", NULL)->name, "t://b/{x}");
	ck_assert_ptr_null(find_uri("a", "t://b/7", NULL));
	ck_assert_ptr_null(find_uri("", "t://c", NULL));
	ck_assert(find_uri("", "t://b", NULL)->safe);
	ck_assert_str_eq(list_of(CATALOG_RESOURCES, "", NULL),
	    "{\"resources\":[{\"uri\":\"t://both\",\"name\":\"a\"},"
	    "{\"uri\":\"t://a\",\"name\":\"n\"},"
	    "{\"uri\":\"t://b\",\"name\":\"n\"}]}");
	ck_assert_str_eq(list_of(CATALOG_RESOURCES, "b", NULL),
	    "{\"resources\":[{\"uri\":\"t://both\",\"name\":\"b\"},"
	    "{\"uri\":\"t://b\",\"name\":\"n\"}]}");
	ck_assert_str_eq(list_of(CATALOG_TEMPLATES, "a", NULL),
	    "{\"resourceTemplates\":[{\"uriTemplate\":\"t://a/{x}\","
	    "\"name\":\"n\"}]}");
	ck_assert_str_eq(list_of(CATALOG_PROMPTS, "", NULL),
	    "{\"prompts\":[{\"name\":\"a_p\"},{\"name\":\"b_p\"}]}");
	ck_assert_str_eq(catalog_find(catalog, CATALOG_PROMPTS, SLICE(""),
	    SLICE("b_p"))->name, "p");
	ck_assert(catalog_completes(catalog, SLICE("")));
	ck_assert(!catalog_offers(catalog, SLICE("a"), CATALOG_TOOLS));
}
END_TEST

START_TEST(scopes_choose_among_apis)
{
	struct scopes *granted = scopes_new(SLICE("b"));

	publish("a", "d1", OFFERS("a"));
	publish("b", "d1", OFFERS("b"));
	look();
	ck_assert_str_eq(find_uri("", "t://both", granted)->api, "b");
	ck_assert_ptr_null(find_uri("", "t://a", granted));
	ck_assert_ptr_null(find_uri("", "t://a/7", granted));
	ck_assert_str_eq(list_of(CATALOG_RESOURCES, "", granted),
	    "{\"resources\":[{\"uri\":\"t://both\",\"name\":\"b\"},"
	    "{\"uri\":\"t://b\",\"name\":\"n\"}]}");
	ck_assert_str_eq(list_of(CATALOG_PROMPTS, "", granted),
	    "{\"prompts\":[{\"name\":\"b_p\"}]}");
	scopes_unref(granted);
}
END_TEST

static struct strbuf heard = STRBUF_INIT(1024);

static void
on_change(struct slice api, unsigned changes, void *arg)
{
	(void)arg;
	strbuf_addf(&heard, "%.*s:%u ", SLICE_ARG(api), changes);
}

static void
on_resource(struct slice api, struct slice uri, void *arg)
{
	(void)arg;
	strbuf_addf(&heard, "%.*s:%.*s ", SLICE_ARG(api), SLICE_ARG(uri));
}

/* What has been heard since the last look. */
static const char *
news(void)
{
	catalog_set_news(catalog, &(struct catalog_news){ on_change,
	    on_resource, NULL });
	strbuf_reset(&heard);
	look();
	return strbuf_str(&heard);
}

START_TEST(changes_are_told_by_kind)
{
	publish("a", "d1", CALC);
	ck_assert_str_eq(news(), "a:1 ");
	ck_assert_str_eq(news(), "");
	publish("a", "d2", CALC);
	ck_assert_str_eq(news(), "");
	publish("a", "d3", OFFERS("a"));
	ck_assert_str_eq(news(), "a:7 ");
	publish("a", "d4", OFFERS("b"));
	ck_assert_str_eq(news(), "a:2 ");
	server_do("DEL mcp_api:{a}");
	ck_assert_str_eq(news(), "a:6 ");
	strbuf_release(&heard);
}
END_TEST

static void
change(const char *id, const char *uri)
{
	server_do("XADD mcp_changes:{a} %s uri %s", id, uri);
	server_do("HSET mcp_api:{a} changed %s", id);
}

START_TEST(changed_resources_are_told_once)
{
	publish("a", "d1", OFFERS("a"));
	change("1-1", "t://before");
	ck_assert_str_eq(news(), "a:6 ");
	change("1-2", "t://one");
	change("2-1", "t://two");
	ck_assert_str_eq(news(), "a:t://one a:t://two ");
	ck_assert_str_eq(news(), "");
	/* A catalogue published anew has no such field at first. */
	server_do("HDEL mcp_api:{a} changed");
	ck_assert_str_eq(news(), "");
	change("3-1", "t://three");
	ck_assert_str_eq(news(), "a:t://three ");
	strbuf_release(&heard);
}
END_TEST

/* Several workers may tell of the same change, within one reading. */
START_TEST(what_changed_over_and_over_is_told_once)
{
	publish("a", "d1", OFFERS("a"));
	ck_assert_str_eq(news(), "a:6 ");
	change("1-1", "t://one");
	change("1-2", "t://two");
	change("1-3", "t://one");
	change("1-4", "t://one");
	ck_assert_str_eq(news(), "a:t://two a:t://one ");
	change("1-5", "t://one");
	ck_assert_str_eq(news(), "a:t://one ");
	strbuf_release(&heard);
}
END_TEST

START_TEST(the_very_first_change_is_told)
{
	publish("a", "d1", OFFERS("a"));
	ck_assert_str_eq(news(), "a:6 ");
	change("1-1", "t://one");
	ck_assert_str_eq(news(), "a:t://one ");
	strbuf_release(&heard);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("catalog", setup, teardown);

	tcase_add_test(tc, nothing_is_known_at_first);
	tcase_add_test(tc, a_published_tool_is_found_under_both_names);
	tcase_add_loop_test(tc, a_tool_is_safe_only_when_it_says_so, 0,
	    (int)ARRAY_LEN(hints));
	tcase_add_test(tc, a_listing_names_tools_as_they_are_called);
	tcase_add_test(tc, a_listing_passes_items_on_as_they_are);
	tcase_add_loop_test(tc, an_item_that_is_no_strict_json_is_left_out, 0,
	    (int)ARRAY_LEN(broken_items));
	tcase_add_test(tc, items_are_not_taken_for_one_another);
	tcase_add_test(tc, a_long_listing_comes_in_pages);
	tcase_add_test(tc, a_listing_shows_what_the_scopes_allow);
	tcase_add_test(tc, a_cursor_that_names_no_tool_is_refused);
	tcase_add_test(tc, a_new_digest_brings_new_tools);
	tcase_add_test(tc, an_api_that_is_withdrawn_is_gone);
	tcase_add_loop_test(tc, a_bad_catalogue_has_no_tools, 0,
	    (int)ARRAY_LEN(bad_catalogues));
	tcase_add_loop_test(tc, a_malformed_catalogue_does_not_replace_a_good_one,
	    0, (int)ARRAY_LEN(bad_catalogues));
	tcase_add_test(tc, a_malformed_catalogue_is_read_once);
	tcase_add_test(tc, what_a_flushed_redis_forgot_stays_known_for_a_while);
	tcase_add_test(tc, a_loss_that_a_beat_has_covered_up_is_known);
	tcase_add_test(tc, an_api_that_is_withdrawn_is_gone_at_once);
	tcase_add_test(tc, of_two_tools_of_a_name_the_first_counts);
	tcase_add_test(tc, names_that_are_none_are_no_apis);
	tcase_add_test(tc, the_queue_is_measured);
	tcase_add_test(tc, it_looks_once_a_second);
	tcase_add_test(tc, what_is_known_stays_while_redis_is_away);
	tcase_add_test(tc, half_a_reading_is_none);
	tcase_add_test(tc, names_are_listed_up_to_their_limit);
	tcase_add_test(tc, the_builtin_api_has_bare_names_everywhere);
	tcase_add_test(tc, nobody_can_publish_the_builtin_api);
	tcase_add_test(tc, a_uri_is_the_first_api_s);
	tcase_add_test(tc, scopes_choose_among_apis);
	tcase_add_test(tc, changes_are_told_by_kind);
	tcase_add_test(tc, changed_resources_are_told_once);
	tcase_add_test(tc, what_changed_over_and_over_is_told_once);
	tcase_add_test(tc, the_very_first_change_is_told);
	return run_cases(tc);
}
