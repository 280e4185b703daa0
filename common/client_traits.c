#include "common/client_traits.h"

static const char *const levels[LEVELS] = {
	[LEVEL_DEBUG] = "debug",
	[LEVEL_INFO] = "info",
	[LEVEL_NOTICE] = "notice",
	[LEVEL_WARNING] = "warning",
	[LEVEL_ERROR] = "error",
	[LEVEL_CRITICAL] = "critical",
	[LEVEL_ALERT] = "alert",
	[LEVEL_EMERGENCY] = "emergency",
};

static const struct {
	struct slice word;
	enum client_can can;
} words[] = {
	{ SLICE("initialized"), CLIENT_INITIALIZED },
	{ SLICE("sampling"), CLIENT_SAMPLING },
	{ SLICE("sampling.tools"), CLIENT_SAMPLING_TOOLS },
	{ SLICE("elicitation"), CLIENT_ELICITATION },
	{ SLICE("elicitation.url"), CLIENT_ELICITATION_URL },
	{ SLICE("roots"), CLIENT_ROOTS },
};

static const struct slice log_is = SLICE("log=");

const char *
client_level_name(enum client_level level)
{
	return levels[level];
}

bool
client_level_read(struct slice name, enum client_level *out)
{
	for (unsigned i = 0; i < LEVELS; i++) {
		if (slice_eq_str(name, levels[i])) {
			*out = (enum client_level)i;
			return true;
		}
	}
	return false;
}

/* A word, with a blank before it unless it is the first. */
static size_t
add_word(char *buf, size_t at, struct slice word)
{
	if (at > 0)
		buf[at++] = ' ';
	memcpy(buf + at, word.p, word.n);
	return at + word.n;
}

struct slice
client_traits_text(char buf[static CLIENT_TRAITS_TEXT_MAX],
    struct client_traits t)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if ((t.can & words[i].can) != 0)
			n = add_word(buf, n, words[i].word);
	}
	if (t.level != LEVEL_DEFAULT && t.level < LEVELS) {
		struct slice level = slice_str(levels[t.level]);

		n = add_word(buf, n, log_is);
		memcpy(buf + n, level.p, level.n);
		n += level.n;
	}
	return slice_of(buf, n);
}

static void
read_word(struct client_traits *t, struct slice word)
{
	enum client_level level;

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (slice_eq(word, words[i].word))
			t->can |= (uint8_t)words[i].can;
	}
	if (word.n > log_is.n && memcmp(word.p, log_is.p, log_is.n) == 0 &&
	    client_level_read(slice_of(word.p + log_is.n, word.n - log_is.n),
		&level))
		t->level = (uint8_t)level;
}

struct client_traits
client_traits_read(struct slice text)
{
	struct client_traits t = CLIENT_TRAITS_NONE;

	while (text.n > 0) {
		const char *blank = memchr(text.p, ' ', text.n);
		size_t n = blank != NULL ? (size_t)(blank - text.p) : text.n;

		read_word(&t, slice_of(text.p, n));
		n += blank != NULL;
		text = slice_of(text.p + n, text.n - n);
	}
	return t;
}
