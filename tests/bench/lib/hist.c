#include "tests/bench/lib/hist.h"

/* Values below HIST_SUB have a bucket each; then HIST_SUB buckets an octave. */
static size_t
bucket_of(uint64_t us)
{
	unsigned octave;

	if (us < HIST_SUB)
		return us;
	if (us >> HIST_VALUE_BITS != 0)
		return HIST_BUCKETS - 1;
	octave = 63u - (unsigned)__builtin_clzll(us) - HIST_SUB_BITS;
	return (octave + 1) * (size_t)HIST_SUB + (us >> octave) - HIST_SUB;
}

/* The middle of a bucket. */
static double
bucket_value(size_t i)
{
	size_t octave;

	if (i < HIST_SUB)
		return (double)i;
	octave = i / HIST_SUB - 1;
	return ((double)(i % HIST_SUB + HIST_SUB) + 0.5) *
	    (double)(1ull << octave);
}

void
hist_add(struct hist *h, uint64_t us)
{
	h->count++;
	h->bucket[bucket_of(us)]++;
	if (us > h->max_us)
		h->max_us = us;
}

double
hist_percentile_ms(const struct hist *h, double share)
{
	uint64_t rank = (uint64_t)(share * (double)h->count);
	uint64_t seen = 0;

	for (size_t i = 0; i < HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen > rank)
			return bucket_value(i) / 1000;
	}
	return (double)h->max_us / 1000;
}
