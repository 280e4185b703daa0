#include "worker/stdio/text.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

#include "common/xalloc.h"

char *
text_copy(struct slice value)
{
	cJSON *tree;
	char *text;

	if (value.n == 0 || value.p[0] != '"')
		return NULL;
	tree = cJSON_ParseWithLength(value.p, value.n);
	text = cJSON_IsString(tree) ? xstrdup(tree->valuestring) : NULL;
	cJSON_Delete(tree);
	return text;
}
