/*
 * health_check: Redis, pods, each API's queue and workers, and what is wrong.
 */
#include "proxy/session_api_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "proxy/api_state.h"

/* Calls that have waited so long with workers there are worth a word. */
#define OLD_CALL_MS 30000

static const char listing[] =
    "{\"name\":\"health_check\",\"title\":\"Health check\","
    "\"description\":\"The state of this MCP service: Redis, proxy pods, each "
    "API's workers and queue, numbers of sessions, and what is wrong.\","
    "\"inputSchema\":{\"type\":\"object\",\"properties\":{},"
    "\"additionalProperties\":false},"
    "\"outputSchema\":{\"type\":\"object\",\"properties\":{"
    "\"status\":{\"type\":\"string\",\"enum\":[\"ok\",\"degraded\"]},"
    "\"problems\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
    "\"redis\":{\"type\":\"object\"},"
    "\"pods\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
    "\"apis\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
    "\"sessions\":{\"type\":\"object\"}},"
    "\"required\":[\"status\",\"problems\",\"redis\",\"pods\",\"apis\","
    "\"sessions\"]},"
    "\"annotations\":{\"title\":\"Health check\",\"readOnlyHint\":true,"
    "\"openWorldHint\":false}}";

static void
add_problem(struct job *job, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void
add_problem(struct job *job, const char *fmt, ...)
{
	cJSON *problems = cJSON_GetObjectItemCaseSensitive(job->out, "problems");
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cJSON_AddItemToArray(problems, cJSON_CreateString(text));
}

/* Redis ---------------------------------------------------------------------- */

/* "name:value" in a line of INFO's. */
static struct slice
info_value(struct slice info, const char *name)
{
	size_t n = strlen(name);
	const char *p = info.p, *end = info.p + info.n;

	while (p != NULL && p < end) {
		const char *eol = memchr(p, '\r', (size_t)(end - p));
		size_t len = (size_t)((eol != NULL ? eol : end) - p);

		if (len > n && memcmp(p, name, n) == 0 && p[n] == ':')
			return slice_of(p + n + 1, len - n - 1);
		p = eol != NULL ? eol + 2 : NULL;
	}
	return SLICE("");
}

static void
add_info_number(cJSON *to, const char *as, struct slice info, const char *name)
{
	uint64_t n;

	if (env_number(info_value(info, name), &n))
		job_add_number(to, as, n);
}

static void
on_info(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	struct slice info = redis_slice(reply);

	(void)g;
	(void)arg;
	job_add_text(target, "version", info_value(info, "redis_version"),
	    false);
	add_info_number(target, "uptime_seconds", info, "uptime_in_seconds");
	add_info_number(target, "connected_clients", info, "connected_clients");
	add_info_number(target, "used_memory_bytes", info, "used_memory");
	add_info_number(target, "max_memory_bytes", info, "maxmemory");
}

static void
on_pong(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	struct job *job = arg;
	uint64_t us = clock_mono_us() - job->asked_us;

	(void)g;
	(void)reply;
	cJSON_AddNumberToObject(target, "latency_ms", (double)us / 1000);
}

static void
ask_redis(struct job *job)
{
	cJSON *redis = cJSON_AddObjectToObject(job->out, "redis");
	struct slice ping[] = { SLICE("PING") };
	struct slice info[] = { SLICE("INFO"), SLICE("server"),
		SLICE("clients"), SLICE("memory") };

	gather_send(job->gather, ping, ARRAY_LEN(ping), on_pong, redis);
	gather_send(job->gather, info, ARRAY_LEN(info), on_info, redis);
}

/* Pods ----------------------------------------------------------------------- */

static void
add_field_number(cJSON *to, const char *name, const redisReply *hash)
{
	uint64_t n;

	if (env_number(env_field(hash, name), &n))
		job_add_number(to, name, n);
}

static void
add_started(cJSON *to, const redisReply *hash)
{
	uint64_t ms;

	if (env_number(env_field(hash, "started_ms"), &ms))
		job_add_time(to, "started", ms);
}

static void
on_pod(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	(void)g;
	(void)arg;
	job_add_text(target, "version", env_field(reply, "version"), false);
	add_started(target, reply);
	add_field_number(target, "streams", reply);
	add_field_number(target, "connections", reply);
	cJSON_AddBoolToObject(target, "draining", api_state_is_draining(reply));
}

static void
ask_pod(const struct fleet_pod *pod, void *arg)
{
	struct job *job = arg;
	cJSON *pods = cJSON_GetObjectItemCaseSensitive(job->out, "pods");
	cJSON *entry;
	struct env_keybuf keybuf;
	struct slice argv[] = { SLICE("HGETALL"),
		env_key(&keybuf, ENV_POD, slice_str(pod->name)) };

	if (fleet_is_dead(pod) ||
	    cJSON_GetArraySize(pods) >= SESSION_API_ENTRIES_MAX)
		return;
	entry = cJSON_CreateObject();
	cJSON_AddStringToObject(entry, "pod", pod->name);
	cJSON_AddItemToArray(pods, entry);
	gather_send(job->gather, argv, ARRAY_LEN(argv), on_pod, entry);
}

/* APIs ----------------------------------------------------------------------- */

static void
on_queue(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	struct api_queue queue;

	(void)g;
	(void)arg;
	if (!api_state_read_queue(reply, &queue))
		return;
	job_add_number(target, "queued_or_running", queue.length);
	job_add_number(target, "oldest_ms", queue.oldest_ms);
	job_add_number(target, "dead_letters", queue.dead_letters);
}

static void
on_worker(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	static const char *const numbers[] = { "in_flight", "running",
		"concurrency", "done", "failed" };
	struct slice error = env_field(reply, "error");

	(void)g;
	(void)arg;
	job_add_text(target, "version", env_field(reply, "version"), false);
	job_add_text(target, "state", env_field(reply, "state"), false);
	if (error.n > 0)
		job_add_text(target, "error", error, false);
	add_started(target, reply);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		add_field_number(target, numbers[i], reply);
	cJSON_AddBoolToObject(target, "draining", api_state_is_draining(reply));
}

static void
on_workers(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	const cJSON *api = cJSON_GetObjectItemCaseSensitive(target, "api");
	cJSON *workers = cJSON_GetObjectItemCaseSensitive(target, "workers");

	(void)arg;
	for (size_t i = 0; i < reply->elements; i++) {
		struct slice name = redis_slice(reply->element[i]);
		cJSON *entry = cJSON_CreateObject();

		job_add_text(entry, "worker", name, false);
		cJSON_AddItemToArray(workers, entry);
		api_state_ask_worker(g, api->valuestring, name, on_worker,
		    entry);
	}
}

static void
ask_api(const char *name, void *arg)
{
	struct job *job = arg;
	cJSON *entry = cJSON_CreateObject();

	cJSON_AddStringToObject(entry, "api", name);
	cJSON_AddBoolToObject(entry, "published",
	    catalog_has_api(job->options->catalog, slice_str(name)));
	cJSON_AddArrayToObject(entry, "workers");
	cJSON_AddItemToArray(
	    cJSON_GetObjectItemCaseSensitive(job->out, "apis"), entry);
	api_state_ask_queue(job->gather, name, on_queue, entry);
	api_state_ask_workers(job->gather, name, SESSION_API_ENTRIES_MAX,
	    on_workers, entry);
}

/* What is wrong -------------------------------------------------------------- */

static double
number_in(const cJSON *object, const char *name)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsNumber(n) ? n->valuedouble : 0;
}

static void
judge_worker(struct job *job, const char *api, const cJSON *worker)
{
	const char *name = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(worker, "worker"));
	const char *state = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(worker, "state"));
	const char *error = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(worker, "error"));

	if (error != NULL)
		add_problem(job, "%s: worker %s is %s: %s", api, name,
		    state != NULL ? state : "failing", error);
}

static void
judge_api(struct job *job, const cJSON *entry)
{
	const char *api = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(entry, "api"));
	const cJSON *workers =
	    cJSON_GetObjectItemCaseSensitive(entry, "workers"), *worker;

	if (cJSON_GetArraySize(workers) == 0)
		add_problem(job, "%s: no worker", api);
	else if (number_in(entry, "oldest_ms") >= OLD_CALL_MS)
		add_problem(job, "%s: a call has waited or run for %.0f s", api,
		    number_in(entry, "oldest_ms") / 1000);
	cJSON_ArrayForEach(worker, workers) {
		judge_worker(job, api, worker);
	}
}

static void
judge_redis(struct job *job)
{
	const cJSON *redis = cJSON_GetObjectItemCaseSensitive(job->out, "redis");
	double used = number_in(redis, "used_memory_bytes");
	double most = number_in(redis, "max_memory_bytes");

	if (most > 0 && used > 0.9 * most)
		add_problem(job, "Redis: %.0f %% of its memory is used",
		    100 * used / most);
}

/* The tool ------------------------------------------------------------------- */

static bool
ask(struct job *job)
{
	static const struct argument none[] = { { NULL, NULL, NULL } };
	const char *api;

	if (!job_check_arguments(job, none))
		return false;
	cJSON_AddStringToObject(job->out, "status", "ok");
	cJSON_AddArrayToObject(job->out, "problems");
	ask_redis(job);
	cJSON_AddArrayToObject(job->out, "pods");
	fleet_each(job->options->fleet, ask_pod, job);
	cJSON_AddArrayToObject(job->out, "apis");
	for (size_t i = 0;
	    (api = catalog_api_name(job->options->catalog, i)) != NULL; i++)
		ask_api(api, job);
	job_ask_counters(job, NULL);
	return true;
}

static void
complete(struct job *job, bool whole)
{
	cJSON *sessions = cJSON_AddObjectToObject(job->out, "sessions");
	const cJSON *entry;

	job_add_number(sessions, "open",
	    (uint64_t)tally_get(job->open, "sessions:all"));
	job_add_number(sessions, "waiting_for_their_client",
	    (uint64_t)tally_get(job->waiting, "sessions:all"));
	if (!whole)
		add_problem(job, "Redis: not all questions were answered in %u ms",
		    job->options->deadline_ms);
	judge_redis(job);
	cJSON_ArrayForEach(entry,
	    cJSON_GetObjectItemCaseSensitive(job->out, "apis")) {
		judge_api(job, entry);
	}
	if (cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(job->out,
		"problems")) > 0)
		cJSON_SetValuestring(cJSON_GetObjectItemCaseSensitive(job->out,
		    "status"), "degraded");
}

const struct session_api_tool session_api_health = {
	.name = "health_check",
	.json = listing,
	.ask = ask,
	.complete = complete,
};
