/*
 * A .env file: KEY=VALUE lines, an optional "export ", comments with # (at the
 * start or after a blank), values bare, in 'single' or in "double" quotes (with
 * \n \r \t \" \\ escapes). Nothing is expanded; LF and CRLF end lines.
 */
#ifndef MCP_DOTENV_H
#define MCP_DOTENV_H

#include "common/strbuf.h"

/* A .env file is typed by a person: a larger one is some other file. */
#define DOTENV_MAX_BYTES ((size_t)1 << 20)
/* What the pairs of such a file take: a line's "=" and end become NULs, and the
 * last one may lack its end. */
#define DOTENV_PAIRS_MAX (DOTENV_MAX_BYTES + 1)

/*
 * Appends the file's pairs to *pairs, each as name and value with their NULs. A
 * file that is not there is as good as empty. False, with a line for each
 * problem in *errors, which never quotes the file: it may hold passwords.
 */
bool dotenv_load(const char *path, struct strbuf *pairs, struct strbuf *errors)
    MUST_CHECK;
/* The value of the last pair of that name, as in a shell; NULL: none. */
const char *dotenv_find(const struct strbuf *pairs, const char *name);
/* Appends the text as a value that is read as the same text. */
void dotenv_quote(struct strbuf *to, const char *text);

#endif
