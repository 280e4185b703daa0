/*
 * list_all_tools: every tool that the caller's scopes allow, API by API, also on
 * paths whose tools/list shows one API.
 */
#include "proxy/session_api_private.h"

#include <stdio.h>
#include <stdlib.h>

static const char listing[] =
    "{\"name\":\"list_all_tools\",\"title\":\"All tools\","
    "\"description\":\"Every tool of every API that you may call, with its "
    "API's path.\","
    "\"inputSchema\":{\"type\":\"object\",\"properties\":{},"
    "\"additionalProperties\":false},"
    "\"outputSchema\":{\"type\":\"object\",\"properties\":{"
    "\"total\":{\"type\":\"integer\"},"
    "\"apis\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"properties\":{\"api\":{\"type\":\"string\"},"
    "\"path\":{\"type\":\"string\"},\"tools\":{\"type\":\"array\","
    "\"items\":{\"type\":\"object\",\"properties\":{"
    "\"name\":{\"type\":\"string\"},\"name_on_sse\":{\"type\":\"string\"},"
    "\"title\":{\"type\":\"string\"},\"description\":{\"type\":\"string\"}}}}}}}"
    "},\"required\":[\"total\",\"apis\"]},"
    "\"annotations\":{\"title\":\"All tools\",\"readOnlyHint\":true,"
    "\"openWorldHint\":false}}";

struct walk {
	struct job *job;
	cJSON *apis;
	cJSON *tools;       /* of the API at hand */
	const char *api;
	unsigned total;
};

static void
begin_api(struct walk *w, const char *api)
{
	cJSON *entry = cJSON_CreateObject();
	char path[API_NAME_MAX + 8];

	snprintf(path, sizeof(path), "/%s/sse", api);
	cJSON_AddStringToObject(entry, "api", api);
	cJSON_AddStringToObject(entry, "path", path);
	w->tools = cJSON_AddArrayToObject(entry, "tools");
	w->api = api;
	cJSON_AddItemToArray(w->apis, entry);
}

/* The tools come API by API. */
static void
add_tool(const struct catalog_item *tool, const struct catalog_words *words,
    void *arg)
{
	struct walk *w = arg;
	cJSON *entry;

	if (!scopes_allow(w->job->scopes, tool->api, tool->name))
		return;
	if (w->api != tool->api)
		begin_api(w, tool->api);
	entry = cJSON_CreateObject();
	cJSON_AddStringToObject(entry, "name", tool->name);
	cJSON_AddStringToObject(entry, "name_on_sse", words->full_name);
	if (words->title != NULL)
		cJSON_AddStringToObject(entry, "title", words->title);
	if (words->description != NULL)
		cJSON_AddStringToObject(entry, "description",
		    words->description);
	cJSON_AddItemToArray(w->tools, entry);
	w->total++;
}

static bool
ask(struct job *job)
{
	static const struct argument none[] = { { NULL, NULL, NULL } };

	return job_check_arguments(job, none);
}

static void
complete(struct job *job, bool whole)
{
	struct walk w = { .job = job };

	(void)whole;
	w.apis = cJSON_AddArrayToObject(job->out, "apis");
	catalog_each_tool(job->options->catalog, add_tool, &w);
	cJSON_AddNumberToObject(job->out, "total", w.total);
}

const struct session_api_tool session_api_tools = {
	.name = "list_all_tools",
	.json = listing,
	.ask = ask,
	.complete = complete,
};
