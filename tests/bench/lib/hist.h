/*
 * A latency histogram: constant memory, constant time per sample.
 *
 * Buckets are exact below 128 us and 1/128 of the value wide above, so a
 * percentile is at most 0.8 % off. The greatest sample is kept exactly.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include "common/compiler.h"

#define HIST_SUB_BITS 7
#define HIST_SUB (1u << HIST_SUB_BITS)
/* 2^40 us are twelve days: nothing here takes longer. */
#define HIST_VALUE_BITS 40
#define HIST_BUCKETS ((HIST_VALUE_BITS - HIST_SUB_BITS + 1) * HIST_SUB)

struct hist {
	uint64_t count;
	uint64_t max_us;
	uint64_t bucket[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t us);
/* The value that share (0 to 1) of the samples do not exceed; 0 when empty. */
double hist_percentile_ms(const struct hist *h, double share);

#endif
