/*
 * Settings from the environment and from a .env file, by a table of options.
 *
 * The environment wins over .env, which wins over the option's fallback; an empty
 * value means "not set", so that the next of them counts. A program declares one
 * struct and one table; the table feeds the loader, --help, --print-config and
 * the test that holds .env.example against it.
 */
#ifndef MCP_CONFIG_H
#define MCP_CONFIG_H

#include <stdio.h>

#include "common/compiler.h"
#include "common/strbuf.h"

enum config_type {
	CONFIG_STRING,   /* char *, owned by the struct; NULL when not set */
	CONFIG_SECRET,   /* the same, printed as "***" */
	CONFIG_URL,      /* the same; user and passwords in it printed as "***" */
	CONFIG_UINT,     /* unsigned, between min and max */
	CONFIG_BYTES,    /* size_t, between min and max; "64k", "1m" understood */
	CONFIG_BOOL,     /* bool: true/false, 1/0, yes/no, on/off */
	CONFIG_ENUM      /* int: index into choices */
};

struct config_option {
	const char *env;             /* NULL ends a table */
	enum config_type type;
	size_t offset;               /* of the field in the program's struct */
	const char *fallback;        /* as text; NULL: strings are NULL, the
				      * others 0, false or the first choice */
	uint64_t min, max;           /* CONFIG_UINT and CONFIG_BYTES; max 0: the
				      * most that the type holds */
	const char *const *choices;  /* CONFIG_ENUM, NULL-terminated */
	const char *help;            /* one line, units included */
};

#define CONFIG_FIELD(type, field) offsetof(type, field)

/*
 * Fills the struct at config from the tables (an array of tables, NULL-ended,
 * so that programs share rows), the environment and the file at dotenv_path
 * (NULL: none), which may be missing. Fields are overwritten, not freed. Returns
 * false and one line per problem in *errors (may be NULL), each naming the
 * setting (or the file's line), the value (not a secret's) and what is allowed;
 * nothing is left to be freed then.
 *
 * Of the file (see dotenv.h) the last line for a key counts. Keys that no table
 * names are fine: several programs share one file.
 */
bool config_load(const struct config_option *const *tables, void *config,
    const char *dotenv_path, struct strbuf *errors) MUST_CHECK;
/* Frees the strings and sets them to NULL. */
void config_release(const struct config_option *const *tables, void *config);
/* KEY=VALUE lines, secrets masked, fit to be pasted into a .env file. */
void config_print(const struct config_option *const *tables,
    const void *config, FILE *to);
/* One paragraph per option: name, default, range, help. */
void config_help(const struct config_option *const *tables, FILE *to);

#endif
