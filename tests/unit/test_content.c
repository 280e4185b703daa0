/* MCP's content blocks as JSON. */
#include "worker/runtime/content.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "tests/unit/support/suite.h"

static struct strbuf sb;

static void
setup(void)
{
	strbuf_init(&sb, 1 << 20);
}

static void
teardown(void)
{
	strbuf_release(&sb);
}

START_TEST(texts_are_escaped)
{
	content_text(&sb, SLICE("\"a\"\n"));
	ck_assert_str_eq(strbuf_str(&sb),
	    "{\"type\":\"text\",\"text\":\"\\\"a\\\"\\n\"}");
}
END_TEST

START_TEST(empty_bytes_are_data_too)
{
	content_data(&sb, "image", SLICE(""), "image/png");
	ck_assert_str_eq(strbuf_str(&sb),
	    "{\"type\":\"image\",\"data\":\"\",\"mimeType\":\"image/png\"}");
}
END_TEST

/* Around the size of the pieces that are encoded at a time. */
static const size_t sizes[] = { 1, 2, 3, 4, 196607, 196608, 196609, 400000 };

START_TEST(bytes_come_back)
{
	size_t n = sizes[_i], head = strlen("{\"uri\":\"u\",\"blob\":\"");
	unsigned char *bytes = malloc(n), *back = malloc(n + 3);
	size_t encoded;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)(i * 31 + i / 256);
	content_contents(&sb, &(struct contents){ .uri = "u",
		.blob = slice_of((char *)bytes, n) });
	ck_assert(strbuf_ok(&sb));
	encoded = sb.n - head - 2;
	ck_assert_uint_eq(encoded, (n + 2) / 3 * 4);
	ck_assert_int_ge(EVP_DecodeBlock(back, (unsigned char *)sb.p + head,
	    (int)encoded), (int)n);
	ck_assert_mem_eq(back, bytes, n);
	free(bytes);
	free(back);
}
END_TEST

START_TEST(too_many_bytes_fail_the_buffer)
{
	char *bytes = calloc(1, 1 << 20);

	content_data(&sb, "audio", slice_of(bytes, 1 << 20), NULL);
	ck_assert(!strbuf_ok(&sb));
	free(bytes);
}
END_TEST

START_TEST(raw_json_stays_on_one_line)
{
	content_raw(&sb, SLICE("{\n\t\"a\":\r\n1}"));
	ck_assert_str_eq(strbuf_str(&sb), "{ \t\"a\":  1}");
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("content", setup, teardown);

	tcase_add_test(tc, texts_are_escaped);
	tcase_add_test(tc, empty_bytes_are_data_too);
	tcase_add_loop_test(tc, bytes_come_back, 0, ARRAY_LEN(sizes));
	tcase_add_test(tc, too_many_bytes_fail_the_buffer);
	tcase_add_test(tc, raw_json_stays_on_one_line);
	return run_cases(tc);
}
