#include "worker/runtime/ask_needs.h"

#include <cjson/cJSON.h>

/* The first row that applies: of that method, and params have that member. */
static const struct need {
	const char *method;
	const char *member;          /* NULL: whatever they have */
	const char *value;           /* and it is that string; NULL: any */
	uint8_t can;                 /* enum client_can, or-ed */
	const char *reason;          /* for those that cannot */
} needs[] = {
	{ "sampling/createMessage", "tools", NULL,
	    CLIENT_SAMPLING | CLIENT_SAMPLING_TOOLS,
	    "the client does not support sampling with tools" },
	{ "sampling/createMessage", "toolChoice", NULL,
	    CLIENT_SAMPLING | CLIENT_SAMPLING_TOOLS,
	    "the client does not support sampling with tools" },
	{ "sampling/createMessage", NULL, NULL, CLIENT_SAMPLING,
	    "the client does not support sampling" },
	{ "elicitation/create", "mode", "url", CLIENT_ELICITATION_URL,
	    "the client does not support elicitation by URLs" },
	{ "elicitation/create", NULL, NULL, CLIENT_ELICITATION,
	    "the client does not support elicitation by forms" },
	{ "roots/list", NULL, NULL, CLIENT_ROOTS,
	    "the client does not list roots" },
	{ "ping", NULL, NULL, 0, NULL },
};

static bool
applies(const struct need *need, const char *method, const cJSON *params)
{
	const cJSON *member;

	if (strcmp(method, need->method) != 0)
		return false;
	if (need->member == NULL)
		return true;
	member = cJSON_GetObjectItemCaseSensitive(params, need->member);
	return member != NULL && !cJSON_IsNull(member) &&
	    (need->value == NULL || (cJSON_IsString(member) &&
	    strcmp(member->valuestring, need->value) == 0));
}

static const struct need *
need_of(const char *method, struct slice params)
{
	cJSON *tree = params.n > 0 ?
	    cJSON_ParseWithLength(params.p, params.n) : NULL;
	const struct need *need = NULL;

	for (size_t i = 0; need == NULL && i < ARRAY_LEN(needs); i++) {
		if (applies(&needs[i], method, tree))
			need = &needs[i];
	}
	cJSON_Delete(tree);
	return need;
}

const char *
ask_why_not(unsigned can, const char *method, struct slice params)
{
	const struct need *need = need_of(method, params);

	if (need == NULL)
		return "clients answer no such request";
	return (can & need->can) == need->can ? NULL : need->reason;
}
