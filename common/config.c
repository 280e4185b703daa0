#include "common/config.h"

#include <stdlib.h>

#include "common/config_value.h"
#include "common/dotenv.h"

/* Enough of a wrong value to find it, in a message that holds others too. */
#define VALUE_SHOWN_BYTES 80
/* Lines for people, made of text that the operator chose: no need for a cap. */
#define LINE_MAX_BYTES (SIZE_MAX / 4)

/* o is a const struct config_option * of the caller's. */
#define FOR_EACH_OPTION(o, tables)                                           \
	for (const struct config_option *const *table_ = (tables);           \
	    *table_ != NULL; table_++)                                       \
		for ((o) = *table_; (o)->env != NULL; (o)++)

/* Loading ----------------------------------------------------------------- */

static bool
is_set(const char *text)
{
	return text != NULL && text[0] != '\0';
}

static const char *
find_text(const struct config_option *o, const struct strbuf *pairs)
{
	const char *text = getenv(o->env);

	if (!is_set(text))
		text = dotenv_find(pairs, o->env);
	if (!is_set(text))
		text = o->fallback;
	return is_set(text) ? text : NULL;
}

static void
add_refusal(struct strbuf *errors, const struct config_option *o,
    const char *text)
{
	size_t shown = strnlen(text, VALUE_SHOWN_BYTES);

	strbuf_addf(errors, "%s: ", o->env);
	strbuf_add_json(errors, slice_of(text, shown));
	strbuf_add_str(errors, text[shown] != '\0' ? "... is not " : " is not ");
	config_values[o->type].allow(o, errors);
	strbuf_add_char(errors, '\n');
}

static bool
set_field(const struct config_option *o, const struct strbuf *pairs,
    void *config, struct strbuf *errors)
{
	const char *text = find_text(o, pairs);

	if (text == NULL ||
	    config_values[o->type].parse(o, text, (char *)config + o->offset))
		return true;
	add_refusal(errors, o, text);
	return false;
}

bool
config_load(const struct config_option *const *tables, void *config,
    const char *dotenv_path, struct strbuf *errors)
{
	struct strbuf pairs = STRBUF_INIT(DOTENV_PAIRS_MAX);
	struct strbuf unread = STRBUF_INIT(0);
	const struct config_option *o;
	bool ok;

	if (errors == NULL)
		errors = &unread;
	FOR_EACH_OPTION (o, tables)
		memset((char *)config + o->offset, 0, config_values[o->type].size);
	ok = dotenv_path == NULL ||
	    dotenv_load(dotenv_path, &pairs, errors);
	FOR_EACH_OPTION (o, tables)
		if (!set_field(o, &pairs, config, errors))
			ok = false;
	strbuf_release(&pairs);
	if (!ok)
		config_release(tables, config);
	return ok;
}

void
config_release(const struct config_option *const *tables, void *config)
{
	const struct config_option *o;

	FOR_EACH_OPTION (o, tables) {
		char **s = (char **)(void *)((char *)config + o->offset);

		if (!config_values[o->type].owned)
			continue;
		free(*s);
		*s = NULL;
	}
}

/* Showing ----------------------------------------------------------------- */

void
config_print(const struct config_option *const *tables, const void *config,
    FILE *to)
{
	struct strbuf value = STRBUF_INIT(LINE_MAX_BYTES);
	struct strbuf line = STRBUF_INIT(LINE_MAX_BYTES);
	const struct config_option *o;

	FOR_EACH_OPTION (o, tables) {
		strbuf_reset(&value);
		config_values[o->type].format(o, (const char *)config + o->offset,
		    &value);
		strbuf_reset(&line);
		dotenv_quote(&line, strbuf_str(&value));
		fprintf(to, "%s=%s\n", o->env, strbuf_str(&line));
	}
	strbuf_release(&value);
	strbuf_release(&line);
}

void
config_help(const struct config_option *const *tables, FILE *to)
{
	struct strbuf allowed = STRBUF_INIT(LINE_MAX_BYTES);
	const struct config_option *o;

	FOR_EACH_OPTION (o, tables) {
		strbuf_reset(&allowed);
		config_values[o->type].allow(o, &allowed);
		fprintf(to, "%s (%s; ", o->env, strbuf_str(&allowed));
		if (is_set(o->fallback))
			fprintf(to, "default %s)\n", o->fallback);
		else
			fprintf(to, "not set by default)\n");
		fprintf(to, "    %s\n\n", o->help);
	}
	strbuf_release(&allowed);
}
