/* The Prometheus text of metrics that several loops count. */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

#include "common/metrics.h"

enum { STREAMS, DROPPED_SLOW, DROPPED_GONE, BYTES, COUNT };

static const struct metric_def defs[] = {
	[STREAMS] = { "streams", NULL, METRIC_GAUGE, "Open streams." },
	[DROPPED_SLOW] = { "dropped_total", "reason=\"slow\"", METRIC_COUNTER,
	    "Streams ended by the proxy." },
	[DROPPED_GONE] = { "dropped_total", "reason=\"gone\",x=\"1\"",
	    METRIC_COUNTER, NULL },
	[BYTES] = { "bytes_total", NULL, METRIC_COUNTER, "Bytes sent." },
};

static void
check_text(metric_value *const *per_loop, size_t loops, size_t count,
    const char *want)
{
	struct strbuf sb = STRBUF_INIT(4096);

	metrics_render(&sb, "mcp_", defs, count, per_loop, loops);
	ck_assert(strbuf_ok(&sb));
	ck_assert_str_eq(strbuf_str(&sb), want);
	strbuf_release(&sb);
}

START_TEST(test_sums_over_loops)
{
	metric_value one[COUNT] = { 0 }, two[COUNT] = { 0 };
	metric_value *const loops[] = { one, two };

	metric_set(&one[STREAMS], 5);
	metric_add(&one[STREAMS], -2);
	metric_set(&two[STREAMS], -10);
	metric_add(&one[DROPPED_SLOW], 1);
	metric_add(&two[DROPPED_SLOW], 2);
	metric_add(&two[DROPPED_GONE], 4);
	metric_set(&one[BYTES], INT64_C(1) << 40);
	metric_set(&two[BYTES], 1);
	ck_assert_int_eq(metric_get(&one[STREAMS]), 3);
	check_text(loops, 2, COUNT,
	    "# HELP mcp_streams Open streams.\n"
	    "# TYPE mcp_streams gauge\n"
	    "mcp_streams -7\n"
	    "# HELP mcp_dropped_total Streams ended by the proxy.\n"
	    "# TYPE mcp_dropped_total counter\n"
	    "mcp_dropped_total{reason=\"slow\"} 3\n"
	    "mcp_dropped_total{reason=\"gone\",x=\"1\"} 4\n"
	    "# HELP mcp_bytes_total Bytes sent.\n"
	    "# TYPE mcp_bytes_total counter\n"
	    "mcp_bytes_total 1099511627777\n");
}
END_TEST

START_TEST(test_nothing_counted)
{
	check_text(NULL, 0, 1,
	    "# HELP mcp_streams Open streams.\n"
	    "# TYPE mcp_streams gauge\n"
	    "mcp_streams 0\n");
	check_text(NULL, 0, 0, "");
}
END_TEST

START_TEST(test_full_buffer_is_told)
{
	struct strbuf sb = STRBUF_INIT(50);

	metrics_render(&sb, "mcp_", defs, COUNT, NULL, 0);
	ck_assert(!strbuf_ok(&sb));
	ck_assert_uint_le(sb.n, 50);
	strbuf_release(&sb);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("text", NULL, NULL);

	tcase_add_test(tc, test_sums_over_loops);
	tcase_add_test(tc, test_nothing_counted);
	tcase_add_test(tc, test_full_buffer_is_told);
	return run_cases(tc);
}
