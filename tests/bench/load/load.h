/*
 * One run of the load generator: opens sessions, initializes them, then holds
 * them idle or calls their tool, and checks every answer.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdio.h>

#include "common/strbuf.h"
#include "tests/bench/lib/hist.h"
#include "tests/bench/lib/io.h"
#include "tests/bench/lib/procstat.h"
#include "tests/bench/load/session.h"

/* When the measured processes are looked at. */
enum load_mark {
	LOAD_MARK_START,   /* before the first session */
	LOAD_MARK_BEGIN,   /* what is measured begins */
	LOAD_MARK_END,     /* and ends */
	LOAD_MARKS
};

struct load {
	struct io_loop loop;
	const struct load_options *options;
	struct session *sessions;
	struct lane *lanes;
	unsigned lane_count;
	struct lane **free_lanes;    /* a stack */
	unsigned free_count;
	unsigned in_state[SESSION_DEAD + 1];
	unsigned cursor;             /* the session whose turn it is */
	struct strbuf body;          /* scratch for the message being sent */

	bool measuring;
	uint64_t sent;               /* calls of this phase */
	uint64_t completed;          /* counted calls with the right answer */
	uint64_t failed;             /* counted calls without */
	uint64_t verified;           /* all right answers, warm-up included */
	double opened_s;             /* time that opening all sessions took */
	double measured_s;
	struct hist latency;
	struct load_errors errors;
	struct procstat marks[LOAD_MARKS][PIDS_MAX];
	struct procstat self[LOAD_MARKS];
};

void load_init(struct load *load, const struct load_options *options);
void load_run(struct load *load);
/* One JSON object on one line. */
void load_print(const struct load *load, FILE *to);
void load_release(struct load *load);

/* From lanes: one is idle again; a counted call is done. */
void load_lane_free(struct load *load, struct lane *lane);
void load_record(struct load *load, const struct lane *lane);

#endif
