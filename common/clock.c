#include "common/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic uint64_t fake_ms;
/* Added to the monotonic clock, modulo 2^64, it makes the shared one; 0: unknown. */
static _Atomic uint64_t shared_base_ms;

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

uint64_t
clock_shared_ms(void)
{
	uint64_t base = atomic_load_explicit(&shared_base_ms,
	    memory_order_relaxed);
	bool fake = atomic_load_explicit(&fake_ms, memory_order_relaxed) != 0;

	return fake || base == 0 ? clock_wall_ms() : clock_mono_ms() + base;
}

void
clock_share(uint64_t shared_ms, uint64_t mono_ms)
{
	atomic_store_explicit(&shared_base_ms, shared_ms - mono_ms,
	    memory_order_relaxed);
}

void
clock_fake(uint64_t ms)
{
	atomic_store(&fake_ms, ms);
}
