/*
 * Any bytes as a catalogue that somebody published. Whatever is taken of it, a
 * listing is strict JSON on one line, and its tools have their names.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "common/jsonrpc.h"
#include "common/log.h"
#include "proxy/catalog.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LISTING_MAX ((size_t)64 << 20)

static void
check_tool(const struct catalog_item *tool, const struct catalog_words *words,
    void *arg)
{
	const cJSON *listed = arg, *item;

	MUST(strcmp(words->full_name, tool->name) == 0);
	cJSON_ArrayForEach(item, listed) {
		if (strcmp(cJSON_GetObjectItemCaseSensitive(item,
		    "name")->valuestring, tool->name) == 0)
			return;
	}
	MUST(!"a tool is not listed under its name");
}

static void
check_list(const struct catalog *c, enum catalog_kind kind)
{
	const struct catalog_query query = { .kind = kind };
	struct strbuf out = STRBUF_INIT(LISTING_MAX);
	cJSON *tree;

	MUST(catalog_list(c, &query, &out));
	MUST(strbuf_ok(&out) && jsonrpc_is_json(strbuf_slice(&out)));
	for (size_t i = 0; i < out.n; i++)
		MUST((unsigned char)out.p[i] >= ' ');
	tree = cJSON_ParseWithLength(out.p, out.n);
	MUST(tree != NULL);
	if (kind == CATALOG_TOOLS)
		catalog_each_tool(c, check_tool,
		    cJSON_GetObjectItemCaseSensitive(tree, "tools"));
	cJSON_Delete(tree);
	strbuf_release(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct catalog *c = catalog_new(NULL, UINT32_MAX);

	/* What is malformed is told by a line, which nobody reads here. */
	log_setup("fuzz", "fuzz", (enum log_level)(LOG_LEVEL_ERROR + 1));
	catalog_add_builtin(c, "x", slice_of((const char *)data, size));
	for (unsigned kind = 0; kind < CATALOG_KINDS; kind++)
		check_list(c, kind);
	catalog_free(c);
	return 0;
}
