#include "proxy/session_api_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "proxy/census.h"

/* Calls under way in one loop: each costs Redis some reads per pod. */
#define JOBS_MAX 32
#define RESULT_MAX (16u * 1024 * 1024)
#define REFUSAL_MAX 512

struct session_api {
	struct session_api_options options;
	unsigned jobs;
};

static const struct session_api_tool *const tools[] = {
	&session_api_health,
	&session_api_users,
	&session_api_analytics,
	&session_api_tools,
};

/* Answers -------------------------------------------------------------------- */

/*
 * The text says the same as the structured content, for clients of revisions
 * that do not know the latter.
 */
static void
add_result(struct strbuf *sb, struct slice text, bool is_error)
{
	strbuf_add_str(sb, "{\"content\":[{\"type\":\"text\",\"text\":");
	strbuf_add_json(sb, text);
	strbuf_add_str(sb, "}]");
	if (is_error) {
		strbuf_add_str(sb, ",\"isError\":true");
	} else {
		strbuf_add_str(sb, ",\"structuredContent\":");
		strbuf_add_slice(sb, text);
	}
	strbuf_add_char(sb, '}');
}

static void
answer(session_api_cb *cb, void *arg, struct slice text, bool is_error)
{
	struct strbuf sb = STRBUF_INIT(RESULT_MAX);

	add_result(&sb, text, is_error);
	if (!strbuf_ok(&sb)) {
		strbuf_reset(&sb);
		add_result(&sb, SLICE("the answer is too long"), true);
	}
	cb(strbuf_slice(&sb), arg);
	strbuf_release(&sb);
}

static void
free_job(struct job *job)
{
	job->api->jobs--;
	scopes_unref(job->scopes);
	cJSON_Delete(job->arguments);
	cJSON_Delete(job->out);
	tally_free(job->open);
	tally_free(job->waiting);
	tally_free(job->history);
	free(job->refusal);
	free(job);
}

static void
on_done(bool whole, void *arg)
{
	struct job *job = arg;
	char *text = NULL;

	if (job->refusal == NULL)
		job->tool->complete(job, whole);
	if (job->refusal == NULL)
		text = cJSON_PrintUnformatted(job->out);
	if (text != NULL)
		answer(job->cb, job->arg, slice_str(text), false);
	else
		answer(job->cb, job->arg, slice_str(job->refusal != NULL ?
		    job->refusal : "out of memory"), true);
	cJSON_free(text);
	free_job(job);
}

/* Calls ---------------------------------------------------------------------- */

void
job_refuse(struct job *job, const char *fmt, ...)
{
	char text[REFUSAL_MAX];
	va_list ap;

	if (job->refusal != NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	job->refusal = xstrdup(text);
}

static const struct argument *
find_argument(const struct argument *allowed, const char *name)
{
	while (allowed->name != NULL && strcmp(allowed->name, name) != 0)
		allowed++;
	return allowed->name != NULL ? allowed : NULL;
}

bool
job_check_arguments(struct job *job, const struct argument *allowed)
{
	const cJSON *item;

	if (job->arguments != NULL && !cJSON_IsObject(job->arguments)) {
		job_refuse(job, "arguments must be an object");
		return false;
	}
	cJSON_ArrayForEach(item, job->arguments) {
		const struct argument *a = find_argument(allowed, item->string);

		if (a == NULL)
			job_refuse(job, "unknown argument: %.64s", item->string);
		else if (!a->is(item))
			job_refuse(job, "%s must be %s", a->name, a->type);
	}
	return job->refusal == NULL;
}

static cJSON *
arguments_of(struct slice params)
{
	cJSON *root = params.n > 0 ?
	    cJSON_ParseWithLength(params.p, params.n) : NULL;
	cJSON *arguments =
	    cJSON_DetachItemFromObjectCaseSensitive(root, "arguments");

	cJSON_Delete(root);
	return arguments;
}

static struct job *
new_job(struct session_api *api, const struct session_api_tool *tool,
    const struct session_api_call *call)
{
	struct job *job = xcalloc(1, sizeof(*job));

	job->api = api;
	job->options = &api->options;
	job->tool = tool;
	job->kind = call->kind;
	job->scopes = scopes_ref(call->scopes);
	job->arguments = arguments_of(call->params);
	job->out = cJSON_CreateObject();
	job->open = tally_new(CENSUS_NAMES_MAX);
	job->waiting = tally_new(CENSUS_NAMES_MAX);
	job->history = tally_new(CENSUS_NAMES_MAX);
	memcpy(job->user, call->user->hash, SHA256_HEX_LEN);
	memcpy(job->sid, call->sid.p, SID_LEN);
	job->asked_us = clock_mono_us();
	api->jobs++;
	return job;
}

static const struct session_api_tool *
find_tool(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		if (strcmp(tools[i]->name, name) == 0)
			return tools[i];
	}
	return NULL;
}

void
session_api_run(struct session_api *api, const struct session_api_call *call,
    session_api_cb *cb, void *arg)
{
	const struct session_api_tool *tool = find_tool(call->tool);
	struct job *job;

	if (tool == NULL || api->jobs >= JOBS_MAX) {
		answer(cb, arg, tool == NULL ? SLICE("unknown tool") :
		    SLICE("too many of these calls at once: try again later"),
		    true);
		return;
	}
	job = new_job(api, tool, call);
	job->cb = cb;
	job->arg = arg;
	job->gather = gather_new(api->options.base, api->options.commands,
	    api->options.deadline_ms, on_done, job);
	(void)!tool->ask(job);
	gather_start(job->gather);
}

/* Counters of all pods -------------------------------------------------------- */

/* target: the pod's number in by_pod, or NULL. */
static void
on_census(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	struct job *job = arg;
	struct tally *pod;

	(void)g;
	census_add_reply(job->open, reply);
	if (target == NULL)
		return;
	pod = tally_new(CENSUS_NAMES_MAX);
	census_add_reply(pod, reply);
	cJSON_SetNumberValue((cJSON *)target,
	    (double)tally_get(pod, "sessions:all"));
	tally_free(pod);
}

static void
on_counted(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	(void)g;
	(void)arg;
	census_add_reply(target, reply);
}

static void
ask_hash(struct gather *g, enum env_key kind, struct slice id,
    gather_reply_cb *cb, void *target)
{
	struct env_keybuf keybuf;
	struct slice argv[] = { SLICE("HGETALL"), env_key(&keybuf, kind, id) };

	gather_send(g, argv, ARRAY_LEN(argv), cb, target);
}

static void
on_waiting_times(struct gather *g, const redisReply *reply, void *arg,
    void *target)
{
	struct job *job = arg;

	(void)target;
	for (size_t i = 0; i < reply->elements; i++)
		ask_hash(g, ENV_DETACHED, redis_slice(reply->element[i]),
		    on_counted, job->waiting);
}

struct pods {
	struct job *job;
	cJSON *by_pod;
};

static void
ask_pod(const struct fleet_pod *pod, void *arg)
{
	struct pods *pods = arg;
	cJSON *number = NULL;

	if (fleet_is_dead(pod))
		return;
	if (pods->by_pod != NULL)
		number = cJSON_AddNumberToObject(pods->by_pod, pod->name, 0);
	ask_hash(pods->job->gather, ENV_CENSUS, slice_str(pod->name), on_census,
	    number);
}

void
job_ask_counters(struct job *job, cJSON *by_pod)
{
	struct pods pods = { job, by_pod };
	char now[20];
	struct slice times[] = { SLICE("ZRANGEBYSCORE"), SLICE(ENV_DETACHED_KEY),
		u64_slice(now, clock_wall_ms()), SLICE("+inf"),
		SLICE("LIMIT"), SLICE("0"), SLICE("1000") };
	uint64_t hour = census_hour(clock_wall_ms());

	fleet_each(job->options->fleet, ask_pod, &pods);
	gather_send(job->gather, times, ARRAY_LEN(times), on_waiting_times,
	    NULL);
	for (unsigned i = 0; i < CENSUS_HOURS; i++) {
		char digits[20];

		ask_hash(job->gather, ENV_HISTORY,
		    u64_slice(digits, hour - i), on_counted,
		    job->history);
	}
}

/* Members -------------------------------------------------------------------- */

void
job_add_text(cJSON *to, const char *name, struct slice text, bool utf8)
{
	char *copy = xstrdup_slice(text);

	for (char *p = copy; !utf8 && *p != '\0'; p++) {
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	}
	cJSON_AddStringToObject(to, name, copy);
	free(copy);
}

void
job_add_time(cJSON *to, const char *name, uint64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	char text[40], whole[24];
	struct tm tm;

	if (wall_ms == 0 || gmtime_r(&seconds, &tm) == NULL) {
		cJSON_AddNullToObject(to, name);
		return;
	}
	strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%03uZ", whole,
	    (unsigned)(wall_ms % 1000));
	cJSON_AddStringToObject(to, name, text);
}

void
job_add_number(cJSON *to, const char *name, uint64_t n)
{
	cJSON_AddNumberToObject(to, name, (double)n);
}

/* Above what is listed by name the rest counts together. */
static void
add_count(struct slice value, int64_t n, void *arg)
{
	cJSON *to = arg, *rest;
	char name[TALLY_NAME_MAX + 1];

	if (n <= 0)
		return;
	memcpy(name, value.p, value.n);
	name[value.n] = '\0';
	if (cJSON_GetArraySize(to) < SESSION_API_ENTRIES_MAX) {
		cJSON_AddNumberToObject(to, name, (double)n);
		return;
	}
	rest = cJSON_GetObjectItemCaseSensitive(to, "(other)");
	if (rest == NULL)
		cJSON_AddNumberToObject(to, "(other)", (double)n);
	else
		cJSON_SetNumberValue(rest, rest->valuedouble + (double)n);
}

struct copying {
	struct tally *to;
	const char *kind;
};

static void
copy_count(struct slice value, int64_t n, void *arg)
{
	struct copying *c = arg;

	tally_add(c->to, c->kind, value, n);
}

void
job_add_counts(cJSON *to, const char *name, const char *kind, struct tally *a,
    struct tally *b)
{
	struct copying sum = { tally_new(CENSUS_NAMES_MAX), kind };

	tally_each(a, kind, copy_count, &sum);
	if (b != NULL)
		tally_each(b, kind, copy_count, &sum);
	tally_each(sum.to, kind, add_count, cJSON_AddObjectToObject(to, name));
	tally_free(sum.to);
}

/* The API -------------------------------------------------------------------- */

struct session_api *
session_api_new(const struct session_api_options *options)
{
	struct session_api *api = xcalloc(1, sizeof(*api));
	struct strbuf json = STRBUF_INIT(RESULT_MAX);

	api->options = *options;
	strbuf_add_str(&json, "{\"tools\":[");
	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		if (i > 0)
			strbuf_add_char(&json, ',');
		strbuf_add_str(&json, tools[i]->json);
	}
	strbuf_add_str(&json, "]}");
	catalog_add_builtin(options->catalog, SESSION_API,
	    strbuf_slice(&json));
	strbuf_release(&json);
	return api;
}

void
session_api_free(struct session_api *api)
{
	free(api);
}
