#include "proxy/session_keys.h"

void
session_keys(struct session_keys *k, struct slice sid)
{
	static const enum env_key kinds[SESSION_KEYS] = { ENV_SESSION, ENV_TRANSPORT,
		ENV_EVENTS };

	for (size_t i = 0; i < SESSION_KEYS; i++)
		k->key[i] = env_key(&k->buf[i], kinds[i], sid);
}
