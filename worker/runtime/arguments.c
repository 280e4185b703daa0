#include "worker/runtime/arguments.h"

#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/json/number.h"

#define ARGUMENTS "arguments"
/* A cJSON, and the texts of a member's name and value, as they are allocated. */
#define VALUE_BYTES (sizeof(cJSON) + 2 * 32)

static cJSON *
member(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* How many backslashes stand right before that place? */
static size_t
backslashes_before(const char *p, const char *from)
{
	size_t n = 0;

	while (p > from && *--p == '\\')
		n++;
	return n;
}

/* A \u after an escaped backslash is plain text. */
bool
arguments_hold_nul(struct slice json)
{
	const char *p = json.p, *end;

	if (json.n == 0)
		return false;
	end = json.p + json.n;
	while ((p = memmem(p, (size_t)(end - p), "\\u0000", 6)) != NULL) {
		if (backslashes_before(p, json.p) % 2 == 0)
			return true;
		p++;
	}
	return false;
}

/* What follows the string whose content begins there; the end, if it has none. */
static const char *
skip_string(const char *content, const char *end)
{
	const char *p = content;

	while ((p = memchr(p, '"', (size_t)(end - p))) != NULL) {
		if (backslashes_before(p, content) % 2 == 0)
			return p + 1;
		p++;
	}
	return end;
}

/* Behind each value stands a comma, or what began the list that it ends. */
size_t
arguments_weight(struct slice json)
{
	const char *p = json.p, *end = json.p + json.n;
	size_t values = 1;

	while (p < end) {
		char c = *p++;

		if (c == '"')
			p = skip_string(p, end);
		else
			values += c == ',' || c == '[' || c == '{';
	}
	return json.n + values * VALUE_BYTES;
}

cJSON *
arguments_parse(struct slice json)
{
	const char *end = NULL;
	cJSON *params = cJSON_ParseWithLengthOpts(json.p, json.n, &end, false);

	if (params != NULL && end != json.p + json.n) {
		cJSON_Delete(params);
		return NULL;
	}
	number_keep_all(params, json, NUMBER_WHOLE_AS_DIGITS);
	return params;
}

const cJSON *
arguments_given(cJSON *params, const struct catalogue_offer *offer UNUSED)
{
	const cJSON *args = member(params, ARGUMENTS);

	if (args == NULL)
		args = cJSON_AddObjectToObject(params, ARGUMENTS);
	return cJSON_IsObject(args) ? args : NULL;
}

/* In place of what a client may have sent under that name. */
static cJSON *
make_arguments(cJSON *params)
{
	cJSON_DeleteItemFromObjectCaseSensitive(params, ARGUMENTS);
	return cJSON_AddObjectToObject(params, ARGUMENTS);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3986, section 2.1; what is no such escape, or a NUL, stays as it is. */
static char *
percent_decode(struct slice s)
{
	char *text = xmalloc(s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		int high = -1, low = -1;

		if (s.p[i] == '%' && i + 2 < s.n) {
			high = hex_value(s.p[i + 1]);
			low = hex_value(s.p[i + 2]);
		}
		if (high < 0 || low < 0 || (high == 0 && low == 0)) {
			text[n++] = s.p[i];
			continue;
		}
		text[n++] = (char)(high << 4 | low);
		i += 2;
	}
	text[n] = '\0';
	return text;
}

static void
add_variable(cJSON *args, const struct uri_variable *v)
{
	char *name = xstrdup_slice(v->name), *value = percent_decode(v->value);

	cJSON_AddStringToObject(args, name, value);
	free(name);
	free(value);
}

const cJSON *
arguments_of_uri(cJSON *params, const struct catalogue_offer *offer)
{
	struct uri_variable variables[URI_VARIABLES_MAX];
	const char *uri = cJSON_GetStringValue(member(params, "uri"));
	size_t count = 0;
	cJSON *args;

	if (uri == NULL)
		return NULL;
	args = make_arguments(params);
	if (offer->kind == OFFER_TEMPLATE && uri_template_match(
	    offer->tool.name, slice_str(uri), variables, &count)) {
		for (size_t i = 0; i < count; i++)
			add_variable(args, &variables[i]);
	}
	return args;
}

const cJSON *
arguments_of_completion(cJSON *params,
    const struct catalogue_offer *offer UNUSED)
{
	const cJSON *argument = member(params, "argument");
	const char *name = cJSON_GetStringValue(member(argument, "name"));
	const char *value = cJSON_GetStringValue(member(argument, "value"));
	cJSON *known = member(member(params, "context"), ARGUMENTS);
	cJSON *args;

	if (name == NULL || value == NULL)
		return NULL;
	known = cJSON_IsObject(known) ? cJSON_Duplicate(known, true) :
	    cJSON_CreateObject();
	args = make_arguments(params);
	cJSON_AddStringToObject(args, "argument", name);
	cJSON_AddStringToObject(args, "value", value);
	cJSON_AddItemToObject(args, ARGUMENTS, known);
	return args;
}
