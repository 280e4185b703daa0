/* Which clients can be asked for what. */
#include "worker/runtime/ask_needs.h"

#include <stdlib.h>

#include "tests/unit/support/suite.h"

#define ALL (CLIENT_SAMPLING | CLIENT_SAMPLING_TOOLS | CLIENT_ELICITATION | \
	    CLIENT_ELICITATION_URL | CLIENT_ROOTS)
#define SAMPLING "sampling/createMessage"
#define ELICITATION "elicitation/create"

static const struct {
	const char *method, *params;
	unsigned needs;          /* enum client_can, or-ed */
	const char *word;        /* of the reason; NULL: nothing is needed */
} asked[] = {
	{ SAMPLING, "", CLIENT_SAMPLING, "sampling" },
	{ SAMPLING, "{}", CLIENT_SAMPLING, "sampling" },
	{ SAMPLING, "{\"messages\":[{\"tools\":[]}],\"tools\":null}",
	    CLIENT_SAMPLING, "sampling" },
	{ SAMPLING, "{\"tools\":[]}",
	    CLIENT_SAMPLING | CLIENT_SAMPLING_TOOLS, "with tools" },
	{ SAMPLING, "{\"toolChoice\":{\"mode\":\"none\"}}",
	    CLIENT_SAMPLING | CLIENT_SAMPLING_TOOLS, "with tools" },
	{ SAMPLING, "{\"t\\u006fols\":[]}",
	    CLIENT_SAMPLING | CLIENT_SAMPLING_TOOLS, "with tools" },
	{ ELICITATION, "{}", CLIENT_ELICITATION, "forms" },
	{ ELICITATION, "{\"mode\":\"form\"}", CLIENT_ELICITATION, "forms" },
	{ ELICITATION, "{\"mode\":7}", CLIENT_ELICITATION, "forms" },
	{ ELICITATION, "{\"mode\":\"url\",\"tools\":[]}",
	    CLIENT_ELICITATION_URL, "URLs" },
	{ "roots/list", "", CLIENT_ROOTS, "roots" },
	{ "ping", "", 0, NULL },
};

START_TEST(clients_are_asked_for_what_they_can)
{
	struct slice params = slice_str(asked[_i].params);
	unsigned needs = asked[_i].needs;
	const char *why;

	ck_assert_ptr_null(ask_why_not(ALL, asked[_i].method, params));
	ck_assert_ptr_null(ask_why_not(needs, asked[_i].method, params));
	for (unsigned bit = 1; bit <= CLIENT_INITIALIZED; bit <<= 1) {
		if ((needs & bit) == 0)
			continue;
		why = ask_why_not((ALL | CLIENT_INITIALIZED) & ~bit,
		    asked[_i].method, params);
		ck_assert_ptr_nonnull(why);
		ck_assert_ptr_nonnull(strstr(why, asked[_i].word));
	}
}
END_TEST

START_TEST(nothing_else_is_asked)
{
	ck_assert_ptr_nonnull(ask_why_not(ALL, "tools/list", SLICE_NONE));
	ck_assert_ptr_nonnull(ask_why_not(ALL, "", SLICE_NONE));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("ask_needs", NULL, NULL);

	tcase_add_loop_test(tc, clients_are_asked_for_what_they_can, 0,
	    ARRAY_LEN(asked));
	tcase_add_test(tc, nothing_else_is_asked);
	return run_cases(tc);
}
