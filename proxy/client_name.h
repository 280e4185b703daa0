/*
 * What clients call themselves (clientInfo of initialize), once for all sessions
 * of an event loop that say the same: thousands of sessions share a few names.
 */
#ifndef MCP_CLIENT_NAME_H
#define MCP_CLIENT_NAME_H

#include "common/compiler.h"

/* Bytes that are kept of a name and of a version, cut between characters. */
#define CLIENT_NAME_MAX 64
#define CLIENT_VERSION_MAX 32
/* Names that are told apart; further ones are all called "(other)". */
#define CLIENT_NAMES_MAX 1024

struct client_names;
struct client_name;

struct client_names *client_names_new(void) MUST_CHECK;
/* All references must have been given back. */
void client_names_free(struct client_names *all);

/* A reference, to be given back; NULL when both are empty. */
struct client_name *client_name_get(struct client_names *all,
    struct slice name, struct slice version) MUST_CHECK;
void client_name_unref(struct client_name *cn);
/* Empty for NULL. */
struct slice client_name_text(const struct client_name *cn);
struct slice client_name_version(const struct client_name *cn);

#endif
