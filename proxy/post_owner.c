/*
 * Whose a session is, and which pod holds its stream: this loop's sessions know,
 * or the directory, or Redis.
 */
#include "proxy/post_private.h"

#include <openssl/crypto.h>

#include "common/clock.h"

static bool
is_theirs(const struct post *p, const unsigned char *user)
{
	return CRYPTO_memcmp(p->user.bytes, user, SHA256_LEN) == 0;
}

/* On the path of another API than its own there is no such session. */
static void
go_to(struct post *p, const struct post_owner *owner)
{
	if (slice_eq_str(slice_str(p->api), owner->api))
		post_handle(p, owner);
	else
		post_refuse(p, POST_UNKNOWN_SESSION);
}

/* Sessions that may be gone ---------------------------------------------------- */

/*
 * Was it left with a pod that died so long ago that no client can come back for
 * it? One that was let go in order expires by itself. A pod that is not in the
 * index has been buried, unless it has only just begun.
 */
static bool
is_abandoned(const struct post *p, const struct directory_entry *entry)
{
	const struct post_options *o = &p->all->options;
	const struct fleet_pod *pod = fleet_find(o->fleet, slice_str(entry->pod));

	if (entry->detached || slice_eq_str(o->pod, entry->pod))
		return false;
	if (pod != NULL)
		return fleet_is_dead(pod) && fleet_silent_ms(pod) >= o->window_ms;
	return clock_wall_ms() > entry->since_ms + o->window_ms;
}

static void
on_probed(struct redis *r, const redisReply *reply, void *arg)
{
	struct post *p = arg;
	struct pod *self = p->all->options.self;

	(void)r;
	if (reply != NULL && reply->type == REDIS_REPLY_INTEGER &&
	    reply->integer == 1 && !pod_lost_recently(self)) {
		post_refuse(p, POST_UNKNOWN_SESSION);
	} else {
		pod_hurry(self);
		post_park(p);
	}
}

/*
 * After a flush its owner may not have noticed yet, nor may we: the session is
 * unknown only to a Redis that still knows ourselves.
 */
static void
doubt_session(struct post *p)
{
	if (!pod_probe(p->all->options.self, on_probed, p))
		post_park(p);
}

/* Looking it up ---------------------------------------------------------------- */

/* The session turned out to be another one: so do the posts to it. */
static bool
follow_alias(struct post *p, const struct directory_entry *entry)
{
	if (entry->alias[0] == '\0')
		return false;
	memcpy(p->sid, entry->alias, SID_LEN);
	p->epoch = entry->alias_epoch;
	/* One that may be queued already keeps the id by which it is found. */
	if (!p->in_doubt)
		env_call_stamp(p->call, p->epoch);
	post_find_owner(p);
	return true;
}

static void
on_looked_up(enum directory_result result, const struct directory_entry *entry,
    void *arg)
{
	struct post *p = arg;
	struct post_owner owner;

	if (result == DIRECTORY_FOUND && is_theirs(p, entry->user) &&
	    follow_alias(p, entry))
		return;
	if (result == DIRECTORY_FOUND &&
	    (!is_theirs(p, entry->user) || is_abandoned(p, entry)))
		result = DIRECTORY_UNKNOWN;
	switch (result) {
	case DIRECTORY_FOUND:
		owner = (struct post_owner){ .pod = slice_str(entry->pod),
			.api = entry->api, .client = entry->client };
		go_to(p, &owner);
		break;
	case DIRECTORY_AWAY:
		post_park(p);
		break;
	case DIRECTORY_UNKNOWN:
		doubt_session(p);
		break;
	}
}

/*
 * A session of somebody else is looked up in Redis like one that nobody has,
 * whatever is known of it here: the answer must not come sooner.
 */
void
post_find_owner(struct post *p)
{
	const struct post_options *o = &p->all->options;
	const struct directory_entry *entry;
	struct post_owner owner = {
		.local = sessions_find(o->sessions, post_sid(p)) };

	if (owner.local != NULL && is_theirs(p, session_user(owner.local))) {
		owner.api = session_api(owner.local);
		owner.client = session_client(owner.local);
		go_to(p, &owner);
		return;
	}
	post_count_one(p, STAT_LOOKUPS);
	entry = directory_find(o->directory, post_sid(p));
	if (entry != NULL && is_theirs(p, entry->user)) {
		post_count_one(p, STAT_LOOKUP_HITS);
		if (follow_alias(p, entry))
			return;
		owner.pod = slice_str(entry->pod);
		owner.api = entry->api;
		owner.client = entry->client;
		go_to(p, &owner);
	} else if (!directory_fetch(o->directory, post_sid(p), on_looked_up, p)) {
		post_park(p);
	}
}
