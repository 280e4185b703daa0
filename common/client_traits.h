/*
 * What a session's client has said of itself: what a server may ask of it
 * (initialize) and which log messages it wants (logging/setLevel). Two bytes in
 * memory; as text a few words in the session's record and with each call.
 */
#ifndef MCP_CLIENT_TRAITS_H
#define MCP_CLIENT_TRAITS_H

#include "common/compiler.h"
#include "common/strbuf.h"

/* Syslog's levels (RFC 5424), as MCP names them ("Logging"). */
enum client_level {
	LEVEL_DEBUG,
	LEVEL_INFO,
	LEVEL_NOTICE,
	LEVEL_WARNING,
	LEVEL_ERROR,
	LEVEL_CRITICAL,
	LEVEL_ALERT,
	LEVEL_EMERGENCY
};
#define LEVELS (LEVEL_EMERGENCY + 1)
/* Until a client has said otherwise. */
#define LEVEL_DEFAULT LEVEL_INFO

enum client_can {
	CLIENT_SAMPLING = 1,
	CLIENT_SAMPLING_TOOLS = 2,
	CLIENT_ELICITATION = 4,        /* by a form */
	CLIENT_ELICITATION_URL = 8,
	CLIENT_ROOTS = 16,
	/* Nothing a server may ask: the client has sent initialize. */
	CLIENT_INITIALIZED = 32
};

struct client_traits {
	uint8_t can;            /* enum client_can, or-ed */
	uint8_t level;          /* enum client_level: nothing below it */
};
#define CLIENT_TRAITS_NONE ((struct client_traits){ 0, LEVEL_DEFAULT })

#define CLIENT_TRAITS_TEXT_MAX 128

/*
 * Writes them as words with blanks between, as in "sampling roots log=debug", in
 * a fixed order; what is so by default is left out. Borrows from buf.
 */
struct slice client_traits_text(char buf[static CLIENT_TRAITS_TEXT_MAX],
    struct client_traits t);
/* Reads such text; words that it does not know mean nothing. */
struct client_traits client_traits_read(struct slice text);

/* MCP's name of a level ("warning"), and back; false when there is no such. */
const char *client_level_name(enum client_level level);
bool client_level_read(struct slice name, enum client_level *out) MUST_CHECK;

#endif
