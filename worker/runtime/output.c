#include "worker/runtime/output.h"

#include "common/log.h"
#include "worker/runtime/arguments.h"
#include "worker/json/number.h"

static bool
fits(const struct schema *schema, struct slice json, struct strbuf *problems)
{
	const char *end = NULL;
	cJSON *value;
	bool ok = false;

	if (json.n == 0) {
		strbuf_add_str(problems, "there is no structured content");
		return false;
	}
	/* Texts that the tree would cut short are left unchecked, with all else. */
	if (arguments_hold_nul(json))
		return true;
	value = cJSON_ParseWithLengthOpts(json.p, json.n, &end, false);
	number_keep_all(value, json, NUMBER_AS_WRITTEN);
	if (value == NULL)
		strbuf_add_str(problems, "not JSON");
	else
		ok = schema_check(schema, value, problems);
	cJSON_Delete(value);
	return ok;
}

bool
output_ok(const struct call *call, struct slice json, struct strbuf *problems)
{
	if (call->output == NULL || fits(call->output, json, problems))
		return true;
	log_error("answer does not fit its output schema",
	    LF("tool", call->tool->name), LF("reason", strbuf_str(problems)));
	return false;
}
