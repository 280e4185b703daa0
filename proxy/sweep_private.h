/*
 * One inbox of another pod that is watched or swept: what sweep.c (when, and by
 * whom) and sweep_read.c (its messages) share. Nobody else includes it.
 */
#ifndef MCP_SWEEP_PRIVATE_H
#define MCP_SWEEP_PRIVATE_H

#include <uthash.h>

#include "proxy/sweep.h"

/* Two decimal 64-bit numbers and a dash. */
#define ENTRY_ID_MAX 41

enum sweep_state {
	SWEEP_WATCHING,
	SWEEP_SWEEPING,
	SWEEP_OVER       /* freed with its last reference */
};

struct taken;
struct sweep_entry;

struct sweep {
	UT_hash_handle hh;             /* of all->table, until over */
	struct sweeps *all;
	struct redis *commands;        /* NULL once the program ends */
	enum sweep_state state;
	unsigned refs;                 /* commands and entries on their way */
	uint64_t began_ms;
	unsigned moves;                /* of the pod, when the watch began */
	uint64_t asked_ms;             /* when the lock was last asked for */
	uint64_t locked_ms;            /* when that was asked for which we got; 0:
					* not ours */
	uint64_t read_ms;
	unsigned reads_left;           /* of this tick */
	bool reading;
	bool locking;
	struct taken *taken;
	struct sweep_entry *entries;
	struct env_keybuf keybuf;
	struct slice key;
	char cursor[ENTRY_ID_MAX + 2]; /* "(" and the last id read; or "-" */
	char pod[POD_NAME_MAX + 1];
};

struct sweeps {
	struct sweep_options options;
	struct sweep *table;
	uint64_t looked_ms;            /* when dead pods were last looked for */
	bool leaving;                  /* others are to sweep */
};

/* sweep.c */

/* Drops a reference: of a command or an entry that was on its way. */
void sweep_unref(struct sweep *s);
/* The next reading begins with the oldest entry. */
void sweep_rewind(struct sweep *s);

/* sweep_read.c */

/*
 * Reads on, within what is left of this tick: a watch takes what is for our own
 * sessions, a sweep everything. At the end it begins anew.
 */
void sweep_read(struct sweep *s);
/* The sweep is over: what it knew of the inbox is freed. */
void sweep_forget(struct sweep *s);

#endif
