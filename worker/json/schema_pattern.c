#define PCRE2_CODE_UNIT_WIDTH 8
#include "worker/json/schema_pattern.h"

#include <pcre2.h>
#include <stdlib.h>

#include "common/xalloc.h"

/* Longer expressions are for the model to read. */
#define TEXT_MAX 16384
/* KiB for backtracking; a step back takes some 150 bytes. */
#define HEAP_MAX 8192
/* A step for so many bytes that are looked at one after the other. */
#define BYTES_PER_STEP 16

struct pattern {
	pcre2_code *code;        /* NULL: it is none */
	bool refers;             /* has back-references */
	char text[];
};

struct pattern_match {
	pcre2_match_data *data;
	pcre2_match_context *context;
	struct check *check;
	size_t last;             /* where the step before was */
	size_t per_step;
};

/*
 * As JavaScript with its u flag would, where PCRE2 can. Callouts, between all of
 * its items, count the steps: PCRE2's own limit begins anew at each character.
 */
static const uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY |
    PCRE2_ALT_BSUX | PCRE2_ALLOW_EMPTY_CLASS | PCRE2_MATCH_UNSET_BACKREF |
    PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT;

static pcre2_code *
compile(const char *text)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	pcre2_code *code = NULL;
	PCRE2_SIZE offset;
	int error;

	if (context == NULL)
		return NULL;
	if (pcre2_set_compile_extra_options(context,
	    PCRE2_EXTRA_ALT_BSUX) == 0 &&
	    pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF) == 0 &&
	    pcre2_set_max_pattern_length(context, TEXT_MAX) == 0)
		code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
		    options, &error, &offset, context);
	pcre2_compile_context_free(context);
	return code;
}

struct pattern *
pattern_new(const char *text)
{
	size_t n = strlen(text) + 1;
	struct pattern *p = xcalloc(1, sizeof(*p) + n);
	uint32_t references = 0;

	memcpy(p->text, text, n);
	p->code = compile(text);
	if (p->code != NULL &&
	    pcre2_pattern_info(p->code, PCRE2_INFO_BACKREFMAX,
	    &references) == 0)
		p->refers = references > 0;
	return p;
}

void
pattern_free(struct pattern *p)
{
	if (p == NULL)
		return;
	pcre2_code_free(p->code);
	free(p);
}

const char *
pattern_text(const struct pattern *p)
{
	return p->text;
}

/* Between two items of the expression lies what one of them has looked at. */
static int
take_step(pcre2_callout_block *at, void *arg)
{
	struct pattern_match *m = arg;
	size_t here = at->current_position;
	size_t way = here > m->last ? here - m->last : m->last - here;

	m->last = here;
	return schema_check_spend(m->check, m->per_step + way / BYTES_PER_STEP)
	    ? 0 : PCRE2_ERROR_CALLOUT;
}

void
pattern_match_free(struct pattern_match *m)
{
	if (m == NULL)
		return;
	pcre2_match_data_free(m->data);
	pcre2_match_context_free(m->context);
	free(m);
}

static struct pattern_match *
match_new(struct check *c)
{
	struct pattern_match *m = xcalloc(1, sizeof(*m));

	m->check = c;
	m->data = pcre2_match_data_create(1, NULL);
	m->context = pcre2_match_context_create(NULL);
	if (m->data == NULL || m->context == NULL ||
	    pcre2_set_heap_limit(m->context, HEAP_MAX) != 0 ||
	    pcre2_set_callout(m->context, take_step, m) != 0) {
		pattern_match_free(m);
		return NULL;
	}
	return m;
}

enum verdict
pattern_match(struct check *c, const struct pattern *p, const char *subject)
{
	size_t n = strlen(subject);
	struct pattern_match *m;
	int found;

	if (p->code == NULL || !schema_check_scan(c, 128 + n))
		return UNSURE;
	if (c->matching == NULL)
		c->matching = match_new(c);
	m = c->matching;
	if (m == NULL)
		return UNSURE;
	m->last = 0;
	/* What a reference compares moves nothing. */
	m->per_step = 1 + (p->refers ? n / BYTES_PER_STEP : 0);
	found = pcre2_match(p->code, (PCRE2_SPTR)subject, n, 0, 0, m->data,
	    m->context);
	if (found >= 0)
		return FITS;
	return found == PCRE2_ERROR_NOMATCH ? MISFIT : UNSURE;
}
