/*
 * Says which values fit which schemas. In: lines of JSON such as
 * {"schema": {"type": "null"}, "values": [null, 1]}; out: a line for each, here "10",
 * 1 for each value that fits; or why the schema is none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include "worker/json/number.h"
#include "worker/json/schema.h"

#define TEXT_MAX ((size_t)16 << 20)

static void
judge(const struct schema *s, const cJSON *value)
{
	struct strbuf problems = STRBUF_INIT(4096);
	bool fits = schema_check(s, value, &problems);

	putchar(fits ? '1' : '0');
	strbuf_release(&problems);
}

static void
judge_line(const cJSON *line)
{
	struct strbuf text = STRBUF_INIT(TEXT_MAX);
	const char *reason = NULL;
	struct schema *s;
	const cJSON *value, *values;

	number_write_tree(&text,
	    cJSON_GetObjectItemCaseSensitive(line, "schema"));
	s = schema_new(strbuf_str(&text), &reason);
	if (s == NULL)
		fputs(reason, stdout);
	values = cJSON_GetObjectItemCaseSensitive(line, "values");
	cJSON_ArrayForEach(value, values) {
		if (s != NULL)
			judge(s, value);
	}
	putchar('\n');
	schema_free(s);
	strbuf_release(&text);
}

int
main(void)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t n;

	while ((n = getline(&text, &size, stdin)) > 0) {
		cJSON *line = cJSON_Parse(text);

		number_keep_all(line, slice_of(text, (size_t)n),
		    NUMBER_AS_WRITTEN);
		judge_line(line);
		cJSON_Delete(line);
	}
	free(text);
	return 0;
}
