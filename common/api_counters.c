#include "common/api_counters.h"

const char *const api_counter_fields[API_COUNTERS] = {
	[API_CALLS_OK] = "ok",
	[API_CALLS_TOOL_ERROR] = "tool_error",
	[API_CALLS_REFUSED] = "refused",
	[API_CALLS_TIMEOUT] = "timeout",
	[API_CALLS_UNKNOWN] = "unknown",
	[API_CALLS_GIVEN_UP] = "given_up",
	[API_CALLS_CANCELLED] = "cancelled",
	[API_CALLS_REPEATED] = "repeated",
	[API_CALLS_EXPIRED] = API_CALLS_EXPIRED_FIELD,
	[API_WORKERS_STARTED] = "started",
	[API_CALL_MS] = "ms",
	[API_CALL_LE] = "le_10",
	"le_50", "le_100", "le_500", "le_1000", "le_5000", "le_10000",
	"le_30000", "le_60000",
};

const unsigned api_bucket_ms[API_BUCKETS] = { 10, 50, 100, 500, 1000, 5000,
	10000, 30000, 60000 };

void
api_counters_note(uint64_t counters[static API_COUNTERS],
    enum api_counter outcome, uint64_t ms)
{
	counters[outcome]++;
	counters[API_CALL_MS] += ms;
	for (size_t i = 0; i < API_BUCKETS; i++) {
		if (ms <= api_bucket_ms[i]) {
			counters[API_CALL_LE + i]++;
			return;
		}
	}
}
