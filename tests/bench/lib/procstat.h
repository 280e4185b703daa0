/*
 * What a process has used so far, read from /proc.
 */
#ifndef BENCH_PROCSTAT_H
#define BENCH_PROCSTAT_H

#include <sys/types.h>

#include "common/compiler.h"

struct procstat {
	double cpu_s;    /* user and system, all threads, in clock ticks (10 ms) */
	uint64_t rss_kb;
	uint64_t uss_kb; /* private pages alone: what ending it would give back */
};

/* False when there is no such process, or it is another user's. */
bool procstat_read(pid_t pid, struct procstat *out) MUST_CHECK;

#endif
