#include "worker/runtime/arrival.h"

bool
arrival_read(const redisReply *item, struct arrival *out)
{
	/* As a stream's entries come, see env_entry_at(). */
	const redisReply list = { .type = REDIS_REPLY_ARRAY, .elements = 1,
		.element = item->element };

	if (item->type != REDIS_REPLY_ARRAY || item->elements < 2 ||
	    !env_entry_at(&list, 0, &out->entry))
		return false;
	out->deliveries = (unsigned)item->element[1]->integer;
	return true;
}
