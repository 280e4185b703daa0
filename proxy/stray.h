/*
 * Messages that reached this loop for sessions that it did not hold: each goes to
 * the session's owner, which may be this loop by now; into the session's log,
 * when no living pod holds its stream; or nowhere, when the session has ended.
 * One rule, whatever became of the owner.
 *
 * Until its fate is known a stray waits here, and in the inbox entry that it
 * came in, so that it is not lost with this process.
 */
#ifndef MCP_STRAY_H
#define MCP_STRAY_H

#include "proxy/directory.h"
#include "proxy/fleet.h"
#include "proxy/outbox.h"
#include "proxy/session.h"

struct strays;

struct stray_options {
	struct slice pod;             /* this loop's name */
	struct directory *directory;  /* these are borrowed */
	struct outbox *outbox;
	struct fleet *fleet;
	struct sessions *sessions;
	struct redis *commands;
	metric_value *stats;
};

struct strays *strays_new(const struct stray_options *options) MUST_CHECK;
/* Calls done for those that still wait. */
void strays_free(struct strays *all);
/*
 * Copies message, from here on marked as a possible repeat: another pod may hold
 * it too. done(arg) is called once its fate is known.
 */
void stray_pass_on(struct strays *all, const struct env_message *message,
    session_done_cb *done, void *arg);
/* Tries again what Redis could not take; a few times a second. */
void strays_tick(struct strays *all);
unsigned strays_count(const struct strays *all);

#endif
