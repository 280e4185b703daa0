/*
 * A JSON Schema, up to the first NUL, and behind it arguments, as clients send
 * them. What is said of misfits is text; numbers are written as they came, and
 * their order is one.
 */
#include <stdlib.h>

#include "tests/fuzz/must.h"
#include "worker/runtime/arguments.h"
#include "worker/json/number.h"
#include "worker/json/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX ((size_t)1 << 20)
/* Each is compared with each. */
#define NUMBERS_MAX 16

struct numbers {
	const cJSON *all[NUMBERS_MAX];
	size_t n;
};

static void
collect(struct numbers *numbers, const cJSON *item)
{
	const cJSON *child;

	if (cJSON_IsNumber(item) && numbers->n < NUMBERS_MAX &&
	    number_in_range(item))
		numbers->all[numbers->n++] = item;
	cJSON_ArrayForEach(child, item) {
		collect(numbers, child);
	}
}

static int
sign(int order)
{
	return (order > 0) - (order < 0);
}

static void
check_order(const cJSON *a, const cJSON *b)
{
	int order = sign(number_compare(a, b));
	double x = a->valuedouble, y = b->valuedouble;

	MUST(sign(number_compare(b, a)) == -order);
	MUST(a != b || order == 0);
	/* Rounding may make two equal, but never turn them round. */
	MUST(order >= 0 || x <= y);
	MUST(order <= 0 || x >= y);
}

/* Written, it reads as the same once more, and is written the same. */
static void
check_writing(const cJSON *tree)
{
	struct strbuf first = STRBUF_INIT(TEXT_MAX);
	struct strbuf second = STRBUF_INIT(TEXT_MAX);
	cJSON *again;

	number_write_tree(&first, tree);
	again = strbuf_ok(&first) ? cJSON_Parse(strbuf_str(&first)) : NULL;
	if (again != NULL) {
		number_keep_all(again, strbuf_slice(&first), NUMBER_AS_WRITTEN);
		number_write_tree(&second, again);
		MUST(strcmp(strbuf_str(&first), strbuf_str(&second)) == 0);
	}
	cJSON_Delete(again);
	strbuf_release(&first);
	strbuf_release(&second);
}

static void
check_arguments(const struct schema *schema, const cJSON *args)
{
	struct strbuf problems = STRBUF_INIT(4096);
	struct numbers numbers = { .n = 0 };
	bool fits = schema_check(schema, args, &problems);

	MUST(fits == (problems.n == 0) || !strbuf_ok(&problems));
	collect(&numbers, args);
	for (size_t i = 0; i < numbers.n; i++) {
		for (size_t k = 0; k < numbers.n; k++)
			check_order(numbers.all[i], numbers.all[k]);
	}
	check_writing(args);
	strbuf_release(&problems);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
	size_t n = end != NULL ? (size_t)(end - data) : size;
	char *text = malloc(n + 1);
	const char *reason = NULL;
	struct schema *schema;
	cJSON *args = NULL;

	MUST(text != NULL);
	if (n > 0)
		memcpy(text, data, n);
	text[n] = '\0';
	schema = schema_new(text, &reason);
	MUST((schema == NULL) == (reason != NULL));
	if (end != NULL)
		args = arguments_parse(
		    slice_of((const char *)end + 1, size - n - 1));
	if (schema != NULL && args != NULL)
		check_arguments(schema, args);
	cJSON_Delete(args);
	schema_free(schema);
	free(text);
	return 0;
}
