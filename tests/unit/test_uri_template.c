/* Which URIs come from which templates, and with what. */
#include "common/uri_template.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

static const struct {
	const char *uri_template, *uri;
	const char *found;   /* "name=value;" for each; NULL: no match */
} matches[] = {
	{ "a://b", "a://b", "" },
	{ "a://b", "a://bc", NULL },
	{ "a://b", "a://", NULL },
	{ "a://{x}", "a://1", "x=1;" },
	{ "a://{x}", "a://", NULL },
	{ "a://{x}", "a://1/2", NULL },
	{ "a://{x}", "a://1?y", NULL },
	{ "a://{x}", "a://1#y", NULL },
	{ "a://{+x}", "a://1/2?3#4", "x=1/2?3#4;" },
	{ "a://{+x}", "a://", NULL },
	{ "a://{x}/data", "a://1/data", "x=1;" },
	{ "a://{x}/data", "a://1/date", NULL },
	{ "a://{x}/data", "a:///data", NULL },
	{ "a://{x}/data", "a://1/data/more", NULL },
	{ "a://{x}/{y}", "a://1/2", "x=1;y=2;" },
	{ "a://{x}/{y}", "a://1/", NULL },
	{ "a://{x}-{y}.{z}", "a://1-2.3", "x=1;y=2;z=3;" },
	{ "a://{x}-{y}", "a://1-2-3", "x=1;y=2-3;" },
	{ "{+all}", "what:ever", "all=what:ever;" },
	{ "a://{x}", "", NULL },
	{ "a://{x}", "a://%2f%00", "x=%2f%00;" },
	/* Not templates that are understood. */
	{ "a://{x}{y}", "a://12", NULL },
	{ "a://{", "a://{", NULL },
	{ "a://{}", "a://1", NULL },
	{ "a://{?x}", "a://?x=1", NULL },
	{ "a://{x*}", "a://1", NULL },
	{ "a://{x,y}", "a://1,2", NULL },
};

START_TEST(a_uri_is_taken_apart)
{
	struct uri_variable v[URI_VARIABLES_MAX];
	char found[256] = "";
	size_t count = 0, n = 0;
	bool matched = uri_template_match(matches[_i].uri_template,
	    slice_str(matches[_i].uri), v, &count);

	ck_assert_int_eq(matched, matches[_i].found != NULL);
	for (size_t i = 0; matched && i < count; i++)
		n += (size_t)snprintf(found + n, sizeof(found) - n,
		    "%.*s=%.*s;", SLICE_ARG(v[i].name), SLICE_ARG(v[i].value));
	if (matched)
		ck_assert_str_eq(found, matches[_i].found);
}
END_TEST

static const struct {
	const char *uri_template, *uri;
	bool covered;
} covers[] = {
	{ "a://b", "a://b", true },
	{ "a://b", "a://bc", false },
	{ "a://{x}", "a://1", true },
	{ "a://{x}", "a://", false },
	{ "a://{x}", "a://1/2", false },
	{ "a://{x}/y/{z}", "a://1/y/2", true },
	{ "a://{x}/y/{z}", "a://1/x/2", false },
	{ "a://{x}{y}", "a://12", true },
	{ "a://{x}{y}", "a://1", false },
	{ "a://{x,y}", "a://1,2", true },
	{ "a://{x:3}", "a://1", true },
	{ "a://{x}-{x}", "a://1--", true },
	/* Where a literal occurs twice, too. */
	{ "a://{+x}/raw", "a://1/raw/2/raw", true },
	{ "a://{x*}/raw", "a://1/raw/2/raw", true },
	{ "a://{x*}", "a://1/2/3", true },
	{ "a://{x*}", "a://", false },
	{ "a://{x*}/end", "a://1/2/ends", false },
	{ "a://{x}{?y,z}", "a://1", true },
	{ "a://{x}{?y,z}", "a://1?z=2", true },
	{ "a://{x}{?y,z}", "a://1/2?z=2", false },
	{ "a://{x}{?y}", "a://?y=1", false },
	{ "a://x?y=1{&z}", "a://x?y=1&z=2", true },
	{ "a://x?y=1{&z}", "a://x?y=12", false },
	{ "a:/{/x*}", "a://1/2", true },
	{ "a:/{/x*}{#y}", "a://1/2#3", true },
	{ "a://x{.y}{;z}", "a://x.1;z=2", true },
	{ "{+all}", "what:ever", true },
	{ "a://{x}", "", false },
	{ "a://{", "a://{", false },
	{ "a://{}", "a://{}", false },
};

START_TEST(a_uri_is_covered)
{
	ck_assert_int_eq(uri_template_covers(covers[_i].uri_template,
	    slice_str(covers[_i].uri)), covers[_i].covered);
}
END_TEST

START_TEST(what_matches_is_covered)
{
	if (matches[_i].found != NULL)
		ck_assert(uri_template_covers(matches[_i].uri_template,
		    slice_str(matches[_i].uri)));
}
END_TEST

START_TEST(covering_has_its_bound)
{
	char long_uri[URI_LENGTH_MAX + 1];

	memset(long_uri, 'x', sizeof(long_uri));
	ck_assert(uri_template_covers("{a}{b}{c}x{d*}{?e}{f}",
	    slice_of(long_uri, URI_LENGTH_MAX)));
	ck_assert(!uri_template_covers("{a}{b}{c}x{d*}{?e}{f}y",
	    slice_of(long_uri, URI_LENGTH_MAX)));
	ck_assert(!uri_template_covers("{+a}",
	    slice_of(long_uri, sizeof(long_uri))));
}
END_TEST

/* A character like others, though no client can send it. */
START_TEST(a_nul_ends_nothing)
{
	ck_assert(uri_template_covers("t://{a}", SLICE("t://x\0y")));
}
END_TEST

START_TEST(there_are_not_too_many_variables)
{
	static const char one[] = "/{x}";
	char text[sizeof(one) * (URI_VARIABLES_MAX + 1)];
	size_t n = 0;

	for (unsigned i = 0; i < URI_VARIABLES_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", one);
	ck_assert(uri_template_ok(text));
	snprintf(text + n, sizeof(text) - n, "%s", one);
	ck_assert(!uri_template_ok(text));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("uri_template", NULL, NULL);

	tcase_add_loop_test(tc, a_uri_is_taken_apart, 0, ARRAY_LEN(matches));
	tcase_add_loop_test(tc, a_uri_is_covered, 0, ARRAY_LEN(covers));
	tcase_add_loop_test(tc, what_matches_is_covered, 0,
	    ARRAY_LEN(matches));
	tcase_add_test(tc, covering_has_its_bound);
	tcase_add_test(tc, a_nul_ends_nothing);
	tcase_add_test(tc, there_are_not_too_many_variables);
	return run_cases(tc);
}
