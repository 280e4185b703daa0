#include "worker/virustotal/report.h"

#include <math.h>
#include <stdlib.h>

#include "common/utf8.h"

/* Engines that found something; more of them say nothing new. */
#define DETECTIONS_MAX 50
/* Elements kept of an attribute that is a list or a map. */
#define ELEMENTS_MAX 20

static const char *const counted[] = { "malicious", "suspicious", "harmless",
	"undetected", "timeout" };

static const cJSON *
get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static double
number(const cJSON *object, const char *name)
{
	const cJSON *item = get(object, name);

	return cJSON_IsNumber(item) && isfinite(item->valuedouble)
		   ? item->valuedouble
		   : 0;
}

static const char *
string(const cJSON *object, const char *name)
{
	const char *s = cJSON_GetStringValue(get(object, name));

	return s ? s : "";
}

/* Structured ------------------------------------------------------------- */

/* The first that any engine says. */
static const char *
verdict_of(const cJSON *stats)
{
	for (size_t i = 0; i < ARRAY_LEN(counted) - 1; i++) {
		if (number(stats, counted[i]) > 0)
			return counted[i];
	}
	return "unknown";
}

static void
add_stats(cJSON *to, const cJSON *stats)
{
	cJSON *out = cJSON_AddObjectToObject(to, "stats");

	for (size_t i = 0; i < ARRAY_LEN(counted); i++)
		cJSON_AddNumberToObject(
		    out, counted[i], number(stats, counted[i]));
}

static bool
is_detection(const cJSON *engine)
{
	const char *category = string(engine, "category");

	return strcmp(category, "malicious") == 0 ||
	       strcmp(category, "suspicious") == 0;
}

static void
add_detections(cJSON *to, const cJSON *results)
{
	cJSON *out = cJSON_AddArrayToObject(to, "detections");
	const cJSON *engine;
	size_t n = 0;

	cJSON_ArrayForEach(engine, results)
	{
		cJSON *one;

		if (!is_detection(engine) || n++ >= DETECTIONS_MAX)
			continue;
		one = cJSON_CreateObject();
		cJSON_AddStringToObject(one, "engine", engine->string);
		cJSON_AddStringToObject(
		    one, "category", string(engine, "category"));
		cJSON_AddStringToObject(
		    one, "result", string(engine, "result"));
		cJSON_AddItemToArray(out, one);
	}
}

/* A copy, of a list or a map with its first elements only. */
static cJSON *
excerpt_of(const cJSON *item)
{
	const cJSON *element;
	cJSON *copy;
	size_t n = 0;

	if (!cJSON_IsArray(item) && !cJSON_IsObject(item))
		return cJSON_Duplicate(item, true);
	copy = cJSON_IsArray(item) ? cJSON_CreateArray() : cJSON_CreateObject();
	cJSON_ArrayForEach(element, item)
	{
		if (n++ == ELEMENTS_MAX)
			break;
		if (cJSON_IsArray(item))
			cJSON_AddItemToArray(
			    copy, cJSON_Duplicate(element, true));
		else
			cJSON_AddItemToObject(copy, element->string,
			    cJSON_Duplicate(element, true));
	}
	return copy;
}

static void
add_details(cJSON *to, const cJSON *attributes, const char *const *names)
{
	cJSON *out = cJSON_AddObjectToObject(to, "details");

	for (; *names != NULL; names++) {
		const cJSON *item = get(attributes, *names);

		if (item != NULL)
			cJSON_AddItemToObject(out, *names, excerpt_of(item));
	}
}

static cJSON *
summary_of(const struct subject_kind *kind, const cJSON *data)
{
	const cJSON *attributes = get(data, "attributes");
	const cJSON *stats = get(attributes, "last_analysis_stats");
	const cJSON *tags = get(attributes, "tags");
	struct strbuf link = STRBUF_INIT(8192);
	cJSON *out = cJSON_CreateObject();

	strbuf_addf(&link, "https://www.virustotal.com/gui/%s/%s", kind->page,
	    string(data, "id"));
	cJSON_AddStringToObject(out, "id", string(data, "id"));
	cJSON_AddStringToObject(out, "type", string(data, "type"));
	cJSON_AddStringToObject(out, "verdict", verdict_of(stats));
	add_stats(out, stats);
	cJSON_AddNumberToObject(
	    out, "reputation", number(attributes, "reputation"));
	cJSON_AddNumberToObject(out, "last_analysis_date",
	    number(attributes, "last_analysis_date"));
	cJSON_AddItemToObject(out, "tags",
	    cJSON_IsArray(tags) ? excerpt_of(tags) : cJSON_CreateArray());
	add_detections(out, get(attributes, "last_analysis_results"));
	add_details(out, attributes, kind->details);
	cJSON_AddStringToObject(out, "link", strbuf_str(&link));
	strbuf_release(&link);
	return out;
}

/* For reading ------------------------------------------------------------ */

static void
write_detections(const cJSON *summary, struct strbuf *text)
{
	const cJSON *one;

	cJSON_ArrayForEach(one, get(summary, "detections"))
	{
		strbuf_addf(text, "- %s: %s (%s)\n", string(one, "engine"),
		    string(one, "result"), string(one, "category"));
	}
}

static void
write_details(const cJSON *summary, struct strbuf *text)
{
	const cJSON *one;

	cJSON_ArrayForEach(one, get(summary, "details"))
	{
		char *value = cJSON_PrintUnformatted(one);

		strbuf_addf(text, "%s: %s\n", one->string,
		    cJSON_IsString(one) ? one->valuestring
		    : value             ? value
					: "");
		cJSON_free(value);
	}
}

static void
write_text(const cJSON *summary, struct strbuf *text)
{
	const cJSON *stats = get(summary, "stats");

	strbuf_addf(text, "%s %s: %s%s\n", string(summary, "type"),
	    string(summary, "id"), string(summary, "verdict"),
	    strcmp(string(summary, "verdict"), "unknown") == 0
		? " (no engine has analysed it yet)"
		: "");
	for (size_t i = 0; i < ARRAY_LEN(counted); i++)
		strbuf_addf(text, "%s%.0f %s",
		    i > 0 ? ", " : "engines: ", number(stats, counted[i]),
		    counted[i]);
	strbuf_addf(
	    text, "\nreputation: %.0f\n", number(summary, "reputation"));
	write_detections(summary, text);
	write_details(summary, text);
	strbuf_add_str(text, string(summary, "link"));
}

/* The module itself ------------------------------------------------------ */

/* NULL also for what cJSON would pass on as it is: bytes that are not UTF-8. */
static cJSON *
parse(struct slice body)
{
	if (body.n == 0 || !utf8_ok(body))
		return NULL;
	return cJSON_ParseWithLength(body.p, body.n);
}

bool
report_read(const struct subject_kind *kind, struct slice body,
    struct strbuf *text, struct strbuf *json)
{
	cJSON *root = parse(body);
	const cJSON *data = get(root, "data");
	bool ok = cJSON_IsString(get(data, "id")) &&
		  cJSON_IsObject(get(data, "attributes"));

	if (ok) {
		cJSON *summary = summary_of(kind, data);
		char *printed = cJSON_PrintUnformatted(summary);

		write_text(summary, text);
		strbuf_add_str(json, printed ? printed : "{}");
		cJSON_free(printed);
		cJSON_Delete(summary);
	}
	cJSON_Delete(root);
	return ok;
}

void
report_error(struct slice body, struct strbuf *code, struct strbuf *message)
{
	cJSON *root = parse(body);
	const cJSON *error = get(root, "error");

	strbuf_add_slice(
	    code, utf8_cut(slice_str(string(error, "code")), code->max));
	strbuf_add_slice(message,
	    utf8_cut(slice_str(string(error, "message")), message->max));
	cJSON_Delete(root);
}
