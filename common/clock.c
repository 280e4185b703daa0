#include "common/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic uint64_t fake_ms;

static uint64_t
read_us(clockid_t id)
{
	uint64_t fake = atomic_load_explicit(&fake_ms, memory_order_relaxed);
	struct timespec ts;

	if (fake != 0)
		return fake * 1000;
	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
clock_mono_us(void)
{
	/* Goes on while the machine is suspended: what expired then, expired. */
	return read_us(CLOCK_BOOTTIME);
}

uint64_t
clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

uint64_t
clock_wall_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

void
clock_fake(uint64_t ms)
{
	atomic_store(&fake_ms, ms);
}
