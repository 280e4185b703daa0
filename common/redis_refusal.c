#include "common/redis_refusal.h"

#include "common/redis.h"

static const struct refusal {
	const char *word;      /* the error begins with it */
	enum redis_refusal kind;
	const char *remedy;
} refusals[] = {
	{ "OOM", REDIS_REFUSES_ALL, "its memory is full: see maxmemory" },
	{ "MISCONF", REDIS_REFUSES_ALL,
	    "it cannot save its data: see its disk, and INFO persistence" },
	{ "NOREPLICAS", REDIS_REFUSES_HERE,
	    "replicas are missing: see INFO replication, and "
	    "min-replicas-to-write" },
	{ "BUSY ", REDIS_REFUSES_HERE,
	    "a script does not end: see SCRIPT KILL" },
	/* After a failover the name leads to another one. */
	{ "READONLY", REDIS_UNFIT, "it is a replica" },
	{ "MASTERDOWN", REDIS_UNFIT, "it is a replica without its master" },
	{ "CLUSTERDOWN", REDIS_UNFIT, "see CLUSTER INFO" },
	/* After loading, this one will do. */
	{ "LOADING", REDIS_UNFIT, "it loads its data" },
	{ "NOPERM", REDIS_REFUSES_US, "see the rights of REDIS_URL's user" },
	{ "NOAUTH", REDIS_REFUSES_US, "see user and password in REDIS_URL" },
	{ "WRONGPASS", REDIS_REFUSES_US, "see user and password in REDIS_URL" },
};

static const struct refusal *
find(const redisReply *reply)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		if (redis_is_error(reply, refusals[i].word))
			return &refusals[i];
	}
	return NULL;
}

enum redis_refusal
redis_refusal(const redisReply *reply)
{
	const struct refusal *found = find(reply);

	return found != NULL ? found->kind : REDIS_NOT_REFUSED;
}

const char *
redis_refusal_remedy(const redisReply *reply)
{
	const struct refusal *found = find(reply);

	return found != NULL ? found->remedy : "";
}

bool
redis_is_unfit(const redisReply *reply)
{
	return redis_refusal(reply) == REDIS_UNFIT;
}

bool
redis_is_put_off(const redisReply *reply)
{
	switch (redis_refusal(reply)) {
	case REDIS_REFUSES_ALL:
	case REDIS_REFUSES_HERE:
	case REDIS_UNFIT:
		return true;
	case REDIS_NOT_REFUSED:
	case REDIS_REFUSES_US:
		break;
	}
	return false;
}
