/*
 * get_session_analytics: how many sessions there are, by kind, and what became of
 * sessions lately. A sum over pods and over times, whatever the number of sessions.
 */
#include "proxy/session_api_private.h"

#include <stdlib.h>

#define COUNTS "{\"type\":\"object\","                                         \
	       "\"additionalProperties\":{\"type\":\"integer\"}}"

static const char listing[] =
    "{\"name\":\"get_session_analytics\",\"title\":\"Session analytics\","
    "\"description\":\"How many sessions there are, by user type, API, "
    "transport, pod, client and age, and how many were opened, given back to "
    "their clients and ended, by reason, in the last 24 hours.\","
    "\"inputSchema\":{\"type\":\"object\",\"properties\":{},"
    "\"additionalProperties\":false},"
    "\"outputSchema\":{\"type\":\"object\",\"properties\":{"
    "\"sessions\":{\"type\":\"object\",\"properties\":{"
    "\"total\":{\"type\":\"integer\"},\"open\":{\"type\":\"integer\"},"
    "\"waiting_for_their_client\":{\"type\":\"integer\"}}},"
    "\"by_user_type\":" COUNTS ",\"by_api\":" COUNTS ",\"by_transport\":" COUNTS
    ",\"by_client\":" COUNTS ",\"by_age\":" COUNTS ",\"open_by_pod\":" COUNTS
    ",\"last_24_hours\":{\"type\":\"object\",\"properties\":{"
    "\"opened\":{\"type\":\"integer\"},\"reattached\":{\"type\":\"integer\"},"
    "\"recovered\":{\"type\":\"integer\"},\"streams_ended\":" COUNTS "}}},"
    "\"required\":[\"sessions\",\"by_user_type\",\"by_api\",\"by_transport\","
    "\"by_client\",\"by_age\",\"open_by_pod\",\"last_24_hours\"]},"
    "\"annotations\":{\"title\":\"Session analytics\",\"readOnlyHint\":true,"
    "\"openWorldHint\":false}}";

static uint64_t
positive(int64_t n)
{
	return n > 0 ? (uint64_t)n : 0;
}

static void
add_sessions(struct job *job)
{
	cJSON *to = cJSON_AddObjectToObject(job->out, "sessions");
	uint64_t open = positive(tally_get(job->open, "sessions:all"));
	uint64_t waiting = positive(tally_get(job->waiting, "sessions:all"));

	job_add_number(to, "total", open + waiting);
	job_add_number(to, "open", open);
	job_add_number(to, "waiting_for_their_client", waiting);
}

/* Reattached: after their streams had ended. Recovered: from a pod that was lost. */
static void
add_history(struct job *job)
{
	cJSON *to = cJSON_AddObjectToObject(job->out, "last_24_hours");
	struct tally *history = job->history;

	job_add_number(to, "opened", positive(tally_get(history, "opened:all")));
	job_add_number(to, "reattached",
	    positive(tally_get(history, "reattached:detached")));
	job_add_number(to, "recovered",
	    positive(tally_get(history, "reattached:owner")));
	job_add_counts(to, "streams_ended", "ended", history, NULL);
}

static bool
ask(struct job *job)
{
	static const struct argument none[] = { { NULL, NULL, NULL } };

	if (!job_check_arguments(job, none))
		return false;
	job_ask_counters(job, cJSON_AddObjectToObject(job->out, "open_by_pod"));
	return true;
}

static void
complete(struct job *job, bool whole)
{
	static const struct {
		const char *name, *kind;
	} groups[] = {
		{ "by_user_type", "user" },
		{ "by_api", "api" },
		{ "by_transport", "transport" },
		{ "by_client", "client" },
		{ "by_age", "age" },
	};

	if (!whole) {
		job_refuse(job, "Redis did not answer in time");
		return;
	}
	add_sessions(job);
	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		job_add_counts(job->out, groups[i].name, groups[i].kind,
		    job->open, job->waiting);
	add_history(job);
}

const struct session_api_tool session_api_analytics = {
	.name = "get_session_analytics",
	.json = listing,
	.ask = ask,
	.complete = complete,
};
