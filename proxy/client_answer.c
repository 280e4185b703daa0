#include "proxy/client_answer.h"

bool
client_answer_is(const struct catalog *catalog, struct slice api,
    const struct jsonrpc_msg *msg)
{
	struct slice of, ask;

	return msg->kind == JSONRPC_RESPONSE &&
	    env_ask_read(msg->id, &of, &ask) &&
	    (api.n == 0 || slice_eq(api, of)) && catalog_has_api(catalog, of);
}

bool
client_answer_send(struct redis *commands, struct slice sid,
    const struct jsonrpc_msg *msg, struct slice payload, redis_cb *cb,
    void *arg)
{
	struct env_keybuf keybuf;
	struct slice api, ask, key;

	if (!env_ask_read(msg->id, &api, &ask))
		return false;
	key = env_answers_key(&keybuf, api, sid);

	const struct slice add[] = { SLICE("XADD"), key, SLICE("MAXLEN"),
		SLICE("~"), SLICE(ENV_ANSWERS_MAX), SLICE("*"),
		SLICE(ENV_FIELD_ASK), ask, SLICE(ENV_FIELD_PAYLOAD), payload };
	const struct slice expire[] = { SLICE("PEXPIRE"), key,
		SLICE(ENV_ANSWERS_TTL_MS) };

	if (!redis_send(commands, add, ARRAY_LEN(add), cb, arg))
		return false;
	(void)!redis_send(commands, expire, ARRAY_LEN(expire), NULL, NULL);
	return true;
}
