#include "common/timer.h"

void
timer_set(struct event *timer, uint64_t ms)
{
	const struct timeval after = {
		.tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000) * 1000,
	};

	event_add(timer, &after);
}
