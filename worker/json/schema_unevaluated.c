/*
 * unevaluatedProperties and unevaluatedItems: what nothing beside them has looked
 * at (2020-12 core, section 11). What has, is found by going once more through the
 * schemas that hold for the value.
 */
#include "worker/json/schema_private.h"

#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/json/schema_pattern.h"

struct marks {
	const cJSON *value;
	size_t n;
	bool *seen;              /* of each member or item */
	bool unsure;             /* others may be seen, too */
};

bool
compile_unevaluated(struct compiler *c, const struct keywords *in,
    struct rule *rule)
{
	cJSON *json = in->of[rule->kind == RULE_UNEVALUATED_ITEMS ?
	    KEY_UNEVALUATED_ITEMS : KEY_UNEVALUATED_PROPERTIES];
	struct unevaluated *u = xcalloc(1, sizeof(*u));

	rule->unevaluated = u;
	u->within = schema_compiling(c);
	u->schema = schema_compile(c, json);
	return u->schema != NULL;
}

void
release_unevaluated(struct rule *rule)
{
	free(rule->unevaluated);
}

/* Members, items ----------------------------------------------------------------- */

static void
mark_all(struct marks *m)
{
	memset(m->seen, true, m->n * sizeof(*m->seen));
}

static bool
is_declared(const struct members *in, const char *name)
{
	for (size_t i = 0; i < in->n; i++) {
		if (in->properties[i].schema != NULL &&
		    strcmp(in->properties[i].name, name) == 0)
			return true;
	}
	return false;
}

static void
mark_members(struct check *c, struct marks *m, const struct members *in)
{
	const cJSON *item;
	size_t k = 0;

	if (in->others != NULL)
		mark_all(m);
	cJSON_ArrayForEach(item, m->value) {
		if (!schema_check_spend(c, 1 + in->n))
			return;
		m->seen[k] |= is_declared(in, item->string);
		for (size_t i = 0; i < in->pattern_count && !m->seen[k]; i++) {
			enum verdict match = pattern_match(c,
			    in->patterns[i].pattern, item->string);

			m->seen[k] |= match == FITS;
			m->unsure |= match == UNSURE;
		}
		k++;
	}
}

static void
mark_elements(struct marks *m, const struct elements *e)
{
	size_t first = e->first != NULL ? e->first->n : 0;

	if (e->others != NULL)
		first = m->n;
	for (size_t i = 0; i < first && i < m->n; i++)
		m->seen[i] = true;
}

static void
mark_contained(struct check *c, struct marks *m, const struct contains *in)
{
	const cJSON *item;
	size_t i = 0;

	cJSON_ArrayForEach(item, m->value) {
		enum verdict fits = schema_try(c, in->schema, item);

		m->seen[i++] |= fits == FITS;
		m->unsure |= fits == UNSURE;
	}
}

/* Schemas for the same value ------------------------------------------------------ */

static void mark(struct check *c, struct marks *m, const struct subschema *s,
    const struct rule *but);

/* If it holds for the value. */
static enum verdict
mark_if(struct check *c, struct marks *m, const struct subschema *s)
{
	enum verdict fits = schema_try(c, s, m->value);

	if (fits == FITS)
		mark(c, m, s, NULL);
	m->unsure |= fits == UNSURE;
	return fits;
}

static void
mark_list(struct check *c, struct marks *m, const struct schema_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		mark_if(c, m, list->of[i]);
}

static void
mark_conditional(struct check *c, struct marks *m, const struct conditional *i)
{
	enum verdict holds = mark_if(c, m, i->condition);

	if (holds != UNSURE)
		mark_if(c, m, holds == FITS ? i->yes : i->no);
}

static void
mark_dependent(struct check *c, struct marks *m, const struct dependents *d)
{
	const struct subschema *s;
	size_t next = 0;

	while ((s = schema_dependent_on(d, m->value, &next)) != NULL)
		mark_if(c, m, s);
}

/* What each kind of rule has looked at. */
static void
mark_rule(struct check *c, struct marks *m, const struct rule *r)
{
	bool object = cJSON_IsObject(m->value);

	if (r->kind == RULE_MEMBERS && object)
		mark_members(c, m, r->members);
	else if (r->kind == RULE_ELEMENTS && !object)
		mark_elements(m, r->elements);
	else if (r->kind == RULE_CONTAINS && !object)
		mark_contained(c, m, r->contains);
	else if (r->kind == (object ? RULE_UNEVALUATED_PROPERTIES :
	    RULE_UNEVALUATED_ITEMS))
		mark_all(m);
	else if (r->kind == RULE_REF && r->schema != NULL)
		mark_if(c, m, r->schema);
	else if (r->kind == RULE_REF || r->kind == RULE_UNKNOWN)
		m->unsure = true;
	else if (r->kind == RULE_ALL_OF || r->kind == RULE_ANY_OF ||
	    r->kind == RULE_ONE_OF)
		mark_list(c, m, r->list);
	else if (r->kind == RULE_IF)
		mark_conditional(c, m, r->conditional);
	else if (r->kind == RULE_DEPENDENT && object)
		mark_dependent(c, m, r->dependents);
}

static void
mark(struct check *c, struct marks *m, const struct subschema *s,
    const struct rule *but)
{
	if (!schema_check_spend(c, m->n)) {
		m->unsure = true;
		return;
	}
	for (size_t i = 0; i < s->n; i++) {
		if (&s->rules[i] != but)
			mark_rule(c, m, &s->rules[i]);
	}
}

/* The rest ------------------------------------------------------------------------ */

static enum verdict
check_one(struct check *c, const struct subschema *s, const cJSON *item,
    const struct place *at)
{
	if (s == &schema_none)
		return schema_misfit(c, at, at->name != NULL ?
		    "unknown argument" : "is one item too many");
	return schema_check_value(c, s, item, at);
}

static enum verdict
check_unmarked(struct check *c, const struct marks *m,
    const struct subschema *s, const struct place *parent)
{
	struct place at = { .parent = parent };
	enum verdict all = FITS;
	const cJSON *item;

	cJSON_ArrayForEach(item, m->value) {
		at.name = item->string;
		if (!m->seen[at.index])
			all = worse(all, check_one(c, s, item, &at));
		at.index++;
	}
	return all;
}

enum verdict
check_unevaluated(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	const struct unevaluated *u = rule->unevaluated;
	struct marks m = { .value = value,
		.n = (size_t)cJSON_GetArraySize(value) };
	enum verdict verdict = FITS;

	if (m.n == 0)
		return FITS;
	m.seen = xcalloc(m.n, sizeof(*m.seen));
	mark(c, &m, u->within, rule);
	if (m.unsure || c->steps == 0)
		verdict = UNSURE;
	else
		verdict = check_unmarked(c, &m, u->schema, at);
	free(m.seen);
	return verdict;
}
