#include "proxy/cancellation.h"

#include "common/envelope.h"
#include "common/log.h"

/* What a client may call an id; longer ones are nobody's. */
#define REQUEST_ID_MAX 1024

bool
cancellation_is(const struct jsonrpc_msg *msg)
{
	return msg->kind == JSONRPC_NOTIFICATION &&
	    slice_eq_str(msg->method, "notifications/cancelled") &&
	    msg->request_id.n > 0 && msg->request_id.n <= REQUEST_ID_MAX;
}

static bool
tell(struct redis *commands, const char *api, struct slice sid,
    struct slice request_id)
{
	struct env_keybuf key;
	const struct slice argv[] = { SLICE("XADD"),
		env_key(&key, ENV_CANCEL, slice_str(api)), SLICE("MAXLEN"),
		SLICE("~"), SLICE(ENV_CANCEL_MAX), SLICE("*"),
		SLICE(ENV_FIELD_SESSION), sid, SLICE(ENV_FIELD_REQUEST),
		request_id };
	const struct slice expire[] = { SLICE("PEXPIRE"), argv[1],
		SLICE(ENV_CANCEL_TTL_MS) };

	if (!redis_send(commands, argv, ARRAY_LEN(argv), NULL, NULL))
		return false;
	(void)!redis_send(commands, expire, ARRAY_LEN(expire), NULL, NULL);
	return true;
}

unsigned
cancellation_send(struct redis *commands, const struct catalog *catalog,
    struct slice api, struct slice sid, struct slice request_id)
{
	const char *name;
	unsigned told = 0;

	for (size_t i = 0; (name = catalog_api_name(catalog, i)) != NULL; i++) {
		if (api.n == 0 || slice_eq_str(api, name))
			told += tell(commands, name, sid, request_id);
	}
	return told;
}
