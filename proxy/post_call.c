/*
 * A call on its way into its API's queue, and what becomes of one of which nobody
 * knows whether it got there.
 */
#include "proxy/post_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "proxy/calls.h"

/* What a user is told to wait for one of his calls to end. */
#define CALLS_WAIT_MS 1000

/* Queueing -------------------------------------------------------------------- */

static void
on_queued(struct redis *r, const redisReply *reply, void *arg)
{
	struct post *p = arg;

	(void)r;
	if (reply == NULL || redis_is_unfit(reply)) {
		p->in_doubt = reply == NULL;
		post_park(p);
	} else if (reply->type == REDIS_REPLY_ERROR) {
		log_warn("call not queued", LF("error", reply->str));
		post_refuse(p, POST_CALL_NOT_QUEUED);
	} else if (calls_is_refused(reply)) {
		post_refuse_limited(p, LIMIT_USER_CALLS, CALLS_WAIT_MS);
	} else {
		post_count_one(p, STAT_CALLS);
		post_accept(p);
	}
}

/* What workers need to know: that it has sent initialize they do not. */
static struct slice
client_of(const struct post_owner *owner,
    char buf[static CLIENT_TRAITS_TEXT_MAX])
{
	struct client_traits t = owner->client;

	t.can &= (uint8_t)~CLIENT_INITIALIZED;
	return client_traits_text(buf, t);
}

static void
enqueue(struct post *p, const struct post_owner *owner,
    const struct mcp_target *to)
{
	const struct post_options *o = &p->all->options;
	char client[CLIENT_TRAITS_TEXT_MAX];
	struct env_request request = {
		.call = slice_of(p->call, CALL_ID_LEN),
		.session = post_sid(p),
		.user = slice_of(p->user.hash, SHA256_HEX_LEN),
		.scopes = scopes_text(p->scopes),
		.method = p->msg.method,
		.tool = to->about,
		.reply_to = owner->local != NULL ? o->pod : owner->pod,
		.deadline_ms = clock_shared_ms() + (to->item->timeout_ms > 0 ?
		    to->item->timeout_ms : o->call_timeout_ms),
		.attempt = p->attempt,
		.payload = slice_of(p->body, p->body_len),
		.traceparent = p->msg.traceparent,
		.client = client_of(owner, client),
		.headers = p->headers,
	};

	if (!calls_enqueue(o->commands, slice_str(to->item->api), &request,
		limits_at_most(o->limits, LIMIT_USER_CALLS), on_queued, p))
		post_park(p);
}

/* Unknown outcomes ------------------------------------------------------------ */

/*
 * Is a call whose XADD got no answer in the queue? Looks at the newest entries:
 * more than that cannot have come in the seconds that a post waits, unless the
 * queue is at its cap.
 */
static const struct redis_script find_call_script = {
	"find_call",
	"for _, e in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-',\n"
	"    'COUNT', 10000)) do\n"
	"  for i = 1, #e[2], 2 do\n"
	"    if e[2][i] == 'call' then\n"
	"      if e[2][i + 1] == ARGV[1] then return 1 end\n"
	"      break\n"
	"    end\n"
	"  end\n"
	"end\n"
	"return 0\n"
};

static void
on_searched(struct redis *r, const redisReply *reply, void *arg)
{
	struct post *p = arg;

	(void)r;
	if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
		post_park(p);
	} else if (reply->integer == 1) {
		post_count_one(p, STAT_CALLS);
		post_accept(p);
	} else {
		post_refuse(p, POST_UNKNOWN_OUTCOME);
	}
}

/*
 * The connection broke between XADD and its reply. A safe tool is simply queued
 * again, as a further attempt of the same call. Another one must not run twice:
 * it counts as accepted if it is found waiting or running, and its outcome is
 * unknown if it is not.
 */
static void
resolve_doubt(struct post *p, const struct post_owner *owner,
    const struct mcp_target *to)
{
	struct env_keybuf keybuf;
	struct slice args[] = { env_key(&keybuf, ENV_REQUESTS,
				    slice_str(to->item->api)),
		slice_of(p->call, CALL_ID_LEN) };

	if (to->item->safe) {
		p->attempt++;
		p->in_doubt = false;
		enqueue(p, owner, to);
	} else if (!redis_eval(p->all->options.commands, &find_call_script, args,
		       ARRAY_LEN(args), 1, on_searched, p)) {
		post_park(p);
	}
}

/* Calls ----------------------------------------------------------------------- */

void
post_call(struct post *p, const struct post_owner *owner,
    const struct mcp_target *to)
{
	const struct post_options *o = &p->all->options;

	if (p->in_doubt) {
		resolve_doubt(p, owner, to);
	} else if (catalog_queue_length(o->catalog, to->item->api) >= o->queue_max) {
		post_count_one(p, STAT_CALLS_REFUSED);
		post_answer_error(p, owner, MCP_ERROR_BUSY,
		    "too many calls are waiting for this API: try again later");
	} else {
		enqueue(p, owner, to);
	}
}
