#include "worker/runtime/output.h"

#include "common/log.h"

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
	value = cJSON_ParseWithLengthOpts(json.p, json.n, &end, false);
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
