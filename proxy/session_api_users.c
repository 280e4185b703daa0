/*
 * get_user_sessions: a user's sessions by last seen. Ids are shortened for
 * everybody: anonymous users behind one address may be one user here, and a
 * session's id is what keeps them apart.
 */
#include "proxy/session_api_private.h"

#include <ctype.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "common/log.h"
#include "common/user_session.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 200
#define SID_SHOWN 8

static const char listing[] =
    "{\"name\":\"get_user_sessions\",\"title\":\"User's sessions\","
    "\"description\":\"Your sessions, the one used last first. Another user's "
    "with the scope " SESSION_API_ADMIN ".\","
    "\"inputSchema\":{\"type\":\"object\",\"properties\":{"
    "\"user\":{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{64}$\","
    "\"description\":\"Hash of another user; yours when left out\"},"
    "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":200,"
    "\"default\":50,\"description\":\"Sessions to list at most\"}},"
    "\"additionalProperties\":false},"
    "\"outputSchema\":{\"type\":\"object\",\"properties\":{"
    "\"user\":{\"type\":\"string\"},\"total\":{\"type\":\"integer\"},"
    "\"sessions\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"properties\":{\"session\":{\"type\":\"string\"},"
    "\"current\":{\"type\":\"boolean\"},\"state\":{\"type\":\"string\","
    "\"enum\":[\"open\",\"waiting_for_its_client\"]}}}}},"
    "\"required\":[\"user\",\"total\",\"sessions\"]},"
    "\"annotations\":{\"title\":\"User's sessions\",\"readOnlyHint\":true,"
    "\"openWorldHint\":false}}";

/* Arguments ------------------------------------------------------------------ */

static bool
is_user(const cJSON *item)
{
	const char *text = cJSON_GetStringValue(item);

	if (text == NULL || strlen(text) != SHA256_HEX_LEN)
		return false;
	for (; *text != '\0'; text++) {
		if (!isdigit((unsigned char)*text) &&
		    (*text < 'a' || *text > 'f'))
			return false;
	}
	return true;
}

static bool
is_limit(const cJSON *item)
{
	return cJSON_IsNumber(item) && item->valuedouble >= 1 &&
	    item->valuedouble <= LIMIT_MAX &&
	    item->valuedouble == (double)(int)item->valuedouble;
}

static const struct argument arguments[] = {
	{ "user", is_user, "the hash of a user: 64 lower-case hex digits" },
	{ "limit", is_limit, "a whole number from 1 to 200" },
	{ NULL, NULL, NULL },
};

/*
 * An anonymous caller is no administrator, whatever anonymous users may do: that
 * right is everybody's.
 */
static bool
is_admin(const struct job *job)
{
	return job->kind != PRINCIPAL_ANONYMOUS && job->scopes != NULL &&
	    scopes_name(job->scopes, SLICE(SESSION_API_ADMIN));
}

/* False: not this caller's to see. */
static bool
choose_user(struct job *job)
{
	const char *user = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(job->arguments, "user"));

	if (user == NULL || strcmp(user, job->user) == 0)
		return true;
	if (!is_admin(job)) {
		job_refuse(job, "other users' sessions need the scope %s",
		    SESSION_API_ADMIN);
		return false;
	}
	memcpy(job->user, user, SHA256_HEX_LEN);
	return true;
}

/* Sessions ------------------------------------------------------------------- */

static void
fill(cJSON *entry, const struct user_session *us)
{
	cJSON_AddStringToObject(entry, "state", us->detached_until_ms != 0 ?
		"waiting_for_its_client" : "open");
	job_add_text(entry, "api", us->api.n > 0 ? us->api : SLICE("(all)"),
	    false);
	job_add_text(entry, "transport", us->transport, false);
	job_add_text(entry, "protocol", us->protocol, false);
	job_add_text(entry, "user_type", us->user_kind, false);
	job_add_text(entry, "client", us->client, true);
	job_add_text(entry, "client_version", us->client_version, true);
	job_add_text(entry, "pod", us->pod, false);
	job_add_time(entry, "created", us->created_ms);
	job_add_time(entry, "last_seen", us->seen_ms);
	job_add_time(entry, "waits_until", us->detached_until_ms);
	job_add_number(entry, "messages", us->messages);
	job_add_number(entry, "reattached", us->reattaches);
	job_add_number(entry, "recovered", us->recoveries);
}

/* A member whose session has ended has no record: it is not listed. */
static void
on_record(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	struct user_session us;

	(void)g;
	(void)arg;
	if (user_session_unpack(redis_slice(reply), &us))
		fill(target, &us);
}

static void
ask_session(struct job *job, struct gather *g, struct slice sid)
{
	cJSON *entry = cJSON_CreateObject();
	struct env_keybuf keybuf;
	struct slice get[] = { SLICE("GET"), env_user_session_key(&keybuf,
	    slice_str(job->user), sid) };

	job_add_text(entry, "session", slice_of(sid.p, SID_SHOWN), false);
	cJSON_AddBoolToObject(entry, "current", slice_eq_str(sid, job->sid));
	cJSON_AddItemToArray(
	    cJSON_GetObjectItemCaseSensitive(job->out, "sessions"), entry);
	gather_send(g, get, ARRAY_LEN(get), on_record, entry);
}

static void
on_members(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	struct job *job = arg;

	(void)target;
	for (size_t i = 0; i < reply->elements; i++) {
		struct slice sid = redis_slice(reply->element[i]);

		if (sid.n == SID_LEN)
			ask_session(job, g, sid);
	}
}

static void
on_total(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	struct job *job = arg;

	(void)g;
	(void)target;
	if (reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0)
		job_add_number(job->out, "total", (uint64_t)reply->integer);
}

/* The tool ------------------------------------------------------------------- */

static bool
ask(struct job *job)
{
	const cJSON *limit;
	struct env_keybuf keybuf;
	char last[20];

	if (!job_check_arguments(job, arguments) || !choose_user(job))
		return false;
	limit = cJSON_GetObjectItemCaseSensitive(job->arguments, "limit");
	struct slice key = env_key(&keybuf, ENV_USER_INDEX,
	    slice_str(job->user));
	struct slice total[] = { SLICE("ZCARD"), key };
	struct slice members[] = { SLICE("ZREVRANGE"), key, SLICE("0"),
		u64_slice(last, (uint64_t)(limit != NULL ?
		    limit->valuedouble : LIMIT_DEFAULT) - 1) };

	cJSON_AddStringToObject(job->out, "user", job->user);
	cJSON_AddArrayToObject(job->out, "sessions");
	gather_send(job->gather, total, ARRAY_LEN(total), on_total, NULL);
	gather_send(job->gather, members, ARRAY_LEN(members), on_members, NULL);
	return true;
}

static void
complete(struct job *job, bool whole)
{
	cJSON *sessions = cJSON_GetObjectItemCaseSensitive(job->out, "sessions");
	cJSON *entry, *next;

	if (!whole) {
		job_refuse(job, "Redis did not answer in time");
		return;
	}
	for (entry = sessions->child; entry != NULL; entry = next) {
		next = entry->next;
		if (!cJSON_HasObjectItem(entry, "state"))
			cJSON_Delete(cJSON_DetachItemViaPointer(sessions,
			    entry));
	}
}

const struct session_api_tool session_api_users = {
	.name = "get_user_sessions",
	.json = listing,
	.ask = ask,
	.complete = complete,
};
