/*
 * The load generator's command line.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <sys/types.h>

#include "common/compiler.h"
#include "tests/bench/lib/net.h"

#define TARGETS_MAX 16
#define PIDS_MAX 16

struct load_pid {
	const char *name;
	pid_t pid;
};

struct load_options {
	struct net_addr stream[TARGETS_MAX]; /* sessions go round-robin */
	unsigned streams;
	struct net_addr post[TARGETS_MAX];
	unsigned posts;
	struct load_pid pid[PIDS_MAX];
	unsigned pids;
	const char *path;        /* of the stream */
	const char *tool;
	const char *arg_name;    /* the tool's text argument */
	unsigned sessions;
	unsigned concurrency;    /* calls in flight */
	unsigned open_window;    /* streams being opened at once */
	unsigned size;           /* bytes of each call's text */
	uint64_t calls;          /* 0: by time */
	double seconds;
	double warmup_s;         /* same load, verified, not counted */
	double idle_s;           /* > 0: hold idle sessions, no calls */
	double rate;             /* > 0: open loop, calls per second */
	double timeout_s;        /* of each step */
	bool opens;              /* only open sessions */
	bool same_pod;           /* POST to the pod that holds the stream */
};

/* Ends the program with a message when the command line is wrong. */
void load_options_parse(struct load_options *o, int argc, char **argv);

#endif
