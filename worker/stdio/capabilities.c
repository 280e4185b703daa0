#include "worker/stdio/capabilities.h"

static const struct {
	const char *word;
	unsigned can;            /* enum client_can, or-ed */
} words[] = {
	{ "none", 0 },
	{ "sampling", CLIENT_SAMPLING },
	{ "sampling.tools", CLIENT_SAMPLING | CLIENT_SAMPLING_TOOLS },
	{ "elicitation", CLIENT_ELICITATION },
	{ "elicitation.url", CLIENT_ELICITATION_URL },
	{ "roots", CLIENT_ROOTS },
};

/* As MCP writes them: parts of one capability stand side by side. */
static const struct {
	const char *name, *part;   /* part NULL: whatever part there is */
	enum client_can can;
} members[] = {
	{ "sampling", NULL, CLIENT_SAMPLING },
	{ "sampling", "tools", CLIENT_SAMPLING_TOOLS },
	{ "elicitation", "form", CLIENT_ELICITATION },
	{ "elicitation", "url", CLIENT_ELICITATION_URL },
	/* Without listChanged: whose roots would have changed? */
	{ "roots", NULL, CLIENT_ROOTS },
};

static bool
read_word(struct slice word, unsigned *can)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (slice_eq_str(word, words[i].word)) {
			*can |= words[i].can;
			return true;
		}
	}
	return false;
}

bool
capabilities_read(const char *text, unsigned *can, struct strbuf *error)
{
	unsigned read = 0;

	for (text += strspn(text, ", "); *text != '\0';
	    text += strspn(text, ", ")) {
		struct slice word = slice_of(text, strcspn(text, ", "));

		if (!read_word(word, &read)) {
			strbuf_addf(error, "%.*s is no capability of clients",
			    SLICE_ARG(word));
			return false;
		}
		text += word.n;
	}
	*can = read;
	return true;
}

void
capabilities_add(struct strbuf *out, unsigned can)
{
	const char *open = NULL;   /* the capability that is being written */
	bool first = true;         /* of its parts */

	strbuf_add_char(out, '{');
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		if ((can & members[i].can) == 0)
			continue;
		if (open == NULL || strcmp(open, members[i].name) != 0) {
			strbuf_addf(out, "%s\"%s\":{", open != NULL ? "}," : "",
			    members[i].name);
			open = members[i].name;
			first = true;
		}
		if (members[i].part == NULL)
			continue;
		strbuf_addf(out, "%s\"%s\":{}", first ? "" : ",",
		    members[i].part);
		first = false;
	}
	strbuf_add_str(out, open != NULL ? "}}" : "}");
}
