/* What clients say of their sessions: read, noted, applied. */
#include "proxy/declaration.h"

#include <stdlib.h>

#include "tests/unit/support/suite.h"

#define INITIALIZE(capabilities)                                           \
	"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":" \
	"{\"protocolVersion\":\"2025-11-25\",\"capabilities\":"            \
	capabilities ",\"clientInfo\":{\"name\":\"c\",\"version\":\"1\"}}}"
/* Who that is, in the note. */
#define WHO "\n2025-11-25\nc\n1"
#define SET_LEVEL(level)                                                   \
	"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"logging/setLevel\","   \
	"\"params\":{\"level\":" level "}}"

static struct jsonrpc_msg msg;

static void
peek(const char *text)
{
	ck_assert_int_eq(jsonrpc_peek(text, strlen(text), &msg), 0);
}

static const struct {
	const char *text, *note;
} notes[] = {
	{ INITIALIZE("{}"), "client initialized" WHO },
	{ INITIALIZE("{\"sampling\":{},\"roots\":{\"listChanged\":true}}"),
	    "client initialized sampling roots" WHO },
	{ INITIALIZE("{\"sampling\":{\"tools\":{}},\"elicitation\":{}}"),
	    "client initialized sampling sampling.tools elicitation" WHO },
	{ INITIALIZE("{\"elicitation\":{\"url\":{}}}"),
	    "client initialized elicitation.url" WHO },
	{ INITIALIZE("{\"elicitation\":{\"form\":{},\"url\":{}}}"),
	    "client initialized elicitation elicitation.url" WHO },
	{ INITIALIZE("{\"sampling\":true,\"Roots\":{}}"),
	    "client initialized" WHO },
	{ INITIALIZE("[]"), "client initialized" WHO },
	{ SET_LEVEL("\"warning\""), "level warning" },
};

START_TEST(what_is_said_is_noted)
{
	struct declaration d = { SLICE_NONE, 1, &msg };
	struct strbuf note = STRBUF_INIT(DECLARATION_NOTE_MAX);

	peek(notes[_i].text);
	ck_assert(declaration_is(&msg));
	declaration_note(&d, &note);
	ck_assert_str_eq(strbuf_str(&note), notes[_i].note);
	strbuf_release(&note);
}
END_TEST

static const char *const others[] = {
	SET_LEVEL("\"loud\""),
	SET_LEVEL("7"),
	"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"logging/setLevel\"}",
	"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{}}",
	"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"tools/call\"}",
};

START_TEST(what_is_not_in_order_changes_nothing)
{
	peek(others[_i]);
	ck_assert(!declaration_is(&msg));
}
END_TEST

START_TEST(notes_are_applied_in_order)
{
	struct client_traits t = CLIENT_TRAITS_NONE;

	declaration_apply(SLICE("level debug"), &t);
	ck_assert_uint_eq(t.level, LEVEL_DEBUG);
	declaration_apply(SLICE("client initialized roots"), &t);
	ck_assert_uint_eq(t.can, CLIENT_INITIALIZED | CLIENT_ROOTS);
	/* A new client: its level is the default again. */
	ck_assert_uint_eq(t.level, LEVEL_DEFAULT);
	declaration_apply(SLICE("level warning"), &t);
	declaration_apply(SLICE("level loud"), &t);
	declaration_apply(SLICE("something else"), &t);
	declaration_apply(SLICE(""), &t);
	ck_assert_uint_eq(t.level, LEVEL_WARNING);
	ck_assert_uint_eq(t.can, CLIENT_INITIALIZED | CLIENT_ROOTS);
}
END_TEST

START_TEST(a_note_says_who_the_client_is)
{
	struct client_traits t = CLIENT_TRAITS_NONE;
	struct declaration_client who;

	ck_assert(declaration_client(SLICE("client initialized roots" WHO),
	    &who));
	ck_assert(slice_eq_str(who.protocol, "2025-11-25"));
	ck_assert(slice_eq_str(who.name, "c"));
	ck_assert(slice_eq_str(who.version, "1"));
	declaration_apply(SLICE("client initialized roots" WHO), &t);
	ck_assert_uint_eq(t.can, CLIENT_INITIALIZED | CLIENT_ROOTS);
	ck_assert(declaration_client(SLICE("client initialized"), &who));
	ck_assert_uint_eq(who.name.n, 0);
	ck_assert(!declaration_client(SLICE("level debug"), &who));
	ck_assert(!declaration_client(SLICE(""), &who));
}
END_TEST

START_TEST(traits_survive_as_text)
{
	char buf[CLIENT_TRAITS_TEXT_MAX];

	for (unsigned can = 0; can < 64; can++) {
		for (unsigned level = 0; level < LEVELS; level++) {
			const struct client_traits t = { (uint8_t)can,
				(uint8_t)level };
			struct client_traits got =
			    client_traits_read(client_traits_text(buf, t));

			ck_assert_uint_eq(got.can, can);
			ck_assert_uint_eq(got.level, level);
		}
	}
	ck_assert_uint_eq(client_traits_text(buf, CLIENT_TRAITS_NONE).n, 0);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("declaration", NULL, NULL);

	tcase_add_loop_test(tc, what_is_said_is_noted, 0, ARRAY_LEN(notes));
	tcase_add_loop_test(tc, what_is_not_in_order_changes_nothing, 0,
	    ARRAY_LEN(others));
	tcase_add_test(tc, notes_are_applied_in_order);
	tcase_add_test(tc, a_note_says_who_the_client_is);
	tcase_add_test(tc, traits_survive_as_text);
	return run_cases(tc);
}
