#include "worker/stdio/command.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/xalloc.h"

/* What a program may need of its surroundings, and what tells nothing. */
static const char *const always[] = { "PATH", "HOME", "USER", "LOGNAME",
	"SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TERM",
	"SSL_CERT_FILE", "SSL_CERT_DIR" };

/* Of a list with commas; the most that are worth reading. */
#define ALLOWED_MAX 256

struct words {
	char **list;
	size_t n;
	struct strbuf word;
	bool open;               /* word is one, though maybe empty */
};

static void
end_word(struct words *w)
{
	if (!w->open)
		return;
	w->list = xrealloc(w->list, (w->n + 2) * sizeof(*w->list));
	w->list[w->n++] = xstrdup_slice(strbuf_slice(&w->word));
	w->list[w->n] = NULL;
	strbuf_reset(&w->word);
	w->open = false;
}

/* From behind the opening quote; returns the closing one, or NULL. */
static const char *
read_quoted(struct words *w, const char *p, char quote)
{
	for (; *p != '\0' && *p != quote; p++) {
		if (quote == '"' && *p == '\\' &&
		    (p[1] == '"' || p[1] == '\\'))
			p++;
		strbuf_add_char(&w->word, *p);
	}
	return *p == quote ? p : NULL;
}

static const char *
read_words(struct words *w, const char *p)
{
	for (; *p != '\0'; p++) {
		if (strchr(" \t\r\n", *p) != NULL) {
			end_word(w);
			continue;
		}
		w->open = true;
		if (*p == '\'' || *p == '"') {
			p = read_quoted(w, p + 1, *p);
			if (p == NULL)
				return "a quote is not closed";
		} else if (*p == '\\' && *++p == '\0') {
			return "it ends in a backslash";
		} else {
			strbuf_add_char(&w->word, *p);
		}
	}
	end_word(w);
	return w->n > 0 ? NULL : "it has no words";
}

char **
command_words(const char *text, struct strbuf *error)
{
	struct words w = { .word = STRBUF_INIT(strlen(text) + 1) };
	const char *wrong = read_words(&w, text);

	strbuf_release(&w.word);
	if (wrong == NULL)
		return w.list;
	strbuf_add_str(error, wrong);
	command_free_words(w.list);
	return NULL;
}

void
command_free_words(char **words)
{
	for (size_t i = 0; words != NULL && words[i] != NULL; i++)
		free(words[i]);
	free(words);
}

/* The environment ------------------------------------------------------------ */

/* False: there is none of that name. */
static bool
pass_on(struct command *c, size_t *n, const char *name)
{
	const char *value = getenv(name);

	if (value != NULL && *n < ALLOWED_MAX)
		c->env[(*n)++] = xasprintf("%s=%s", name, value);
	return value != NULL;
}

static void
pass_allowed(struct command *c, size_t *n, const char *allowed)
{
	while (*allowed != '\0') {
		size_t length = strcspn(allowed, ", ");
		char *name = xstrdup_slice(slice_of(allowed, length));

		/* It may stand in .env, which is the worker's alone. */
		if (length > 0 && !pass_on(c, n, name))
			log_warn("variable that STDIO_ENV names is not set",
			    LF("name", name));
		free(name);
		allowed += length;
		allowed += *allowed != '\0';
	}
}

bool
command_init(struct command *c, const char *text, const char *allowed,
    const char *directory, struct strbuf *error)
{
	size_t n = 0;

	*c = (struct command){ .directory = directory };
	c->argv = command_words(text, error);
	if (c->argv == NULL)
		return false;
	c->env = xcalloc(ALLOWED_MAX + 1, sizeof(*c->env));
	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		(void)pass_on(c, &n, always[i]);
	pass_allowed(c, &n, allowed != NULL ? allowed : "");
	return true;
}

void
command_release(struct command *c)
{
	command_free_words(c->argv);
	command_free_words(c->env);
	*c = (struct command){ .argv = NULL };
}
