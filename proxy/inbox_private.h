/*
 * What inbox.c (reading), inbox_entry.c (entries in our hands, until they are
 * deleted) and inbox_reread.c (which entries are, when it is read from its
 * beginning) share. Nobody else includes it.
 */
#ifndef MCP_INBOX_PRIVATE_H
#define MCP_INBOX_PRIVATE_H

#include "common/queue.h"
#include "proxy/inbox.h"

/* Two decimal 64-bit numbers and a dash. */
#define ENTRY_ID_MAX 41

enum entry_state {
	ENTRY_OPEN,      /* some message is not dealt with */
	ENTRY_DONE,      /* to be deleted */
	ENTRY_DELETING,  /* XDEL sent; the list is in the order of sending */
	ENTRY_STATES
};

struct inbox_entry {
	TAILQ_ENTRY(inbox_entry) link;  /* of inbox->entries[state] */
	struct inbox *inbox;
	enum entry_state state;
	unsigned left;   /* messages not dealt with, plus one while reading */
	size_t bytes;    /* of its messages, while it is OPEN */
	uint64_t mark;   /* of its first call: inbox_entry_mark() */
	bool tried;      /* it may have been deleted: see inbox_reread() */
	uint8_t id_len;
	char id[ENTRY_ID_MAX + 1];
};

TAILQ_HEAD(entry_list, inbox_entry);

struct inbox_known;

struct inbox {
	struct event_base *base;
	struct evdns_base *dns;
	struct redis_options reader_options;
	struct redis *commands;
	struct redis *reader;
	inbox_cb *cb;
	void *arg;
	struct env_keybuf keybuf;
	struct slice key;
	char last_id[ENTRY_ID_MAX + 1];
	bool reading;                  /* an XREAD is on its way */
	uint64_t asked_ms;             /* when it was sent */
	uint64_t doubt_until_ms;
	struct inbox_reading view;
	/* While reading from the beginning: what was in our hands then, in order. */
	struct inbox_known *known;
	size_t known_count;
	bool rereading;
	bool forgetful;                /* not all undeleted entries are known */
	struct entry_list entries[ENTRY_STATES];
	unsigned counts[ENTRY_STATES];
	size_t open_bytes;             /* of the messages of those OPEN */
	unsigned asked;                /* entries, by the last XREAD */
	unsigned ask;                  /* by the next one */
	unsigned rest_ms;              /* after a refusal; 0: none lately */
	uint64_t rest_until_ms;
	uint64_t sent_before;          /* by readers before this one */
	struct event *turn_end;
	bool turn_end_active;
};

/* inbox.c */

void inbox_read_more(struct inbox *in);
/* Deletes what is done and reads on, once the events of this turn are handled. */
void inbox_at_turn_end(struct inbox *in);

/* inbox_entry.c */

/* It is OPEN, with a message to be dealt with: the reading itself. */
struct inbox_entry *inbox_entry_new(struct inbox *in,
    const struct env_entry *entry) MUST_CHECK;
/* Takes it off its list and frees it. */
void inbox_entry_forget(struct inbox_entry *e);
/* Sends one XDEL for many entries; false when there is no more to send. */
bool inbox_delete_some(struct inbox *in) MUST_CHECK;

/* inbox_reread.c */

/* Reads from the beginning from now on, knowing what is in our hands. */
void inbox_begin_rereading(struct inbox *in);
/* All that was in the inbox has been read. */
void inbox_end_rereading(struct inbox *in);
/* Is this an entry that we have had in our hands when that began? */
bool inbox_is_known(const struct inbox *in, const struct env_entry *entry);
/*
 * Tells entries with equal ids apart: a Redis that lost its data may give an id
 * anew. Call ids are random.
 */
uint64_t inbox_entry_mark(const struct env_entry *entry);

#endif
