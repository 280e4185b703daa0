/*
 * What to say when a value fits none of several schemas: what is wrong with the one
 * that was meant, where the value's type, or a property whose value only that one
 * has, gives it away; else what is wrong with the first few.
 */
#include "worker/json/schema_private.h"

#include "worker/json/number.h"

/* What references are followed for a property's sake. */
#define DEPTH_MAX 8
/* Of so many alternatives it is said why each was not it. */
#define SHOWN_MAX 3

/* Which alternatives may be meant; a list is looked at up to here. */
#define LIST_MAX 64

struct meant {
	const struct subschema *of[LIST_MAX];
	size_t n;
	const char *property;    /* that rules out all, NULL: none does */
};

/* What a subschema says of a value that must be one of few; NULL: nothing. */
static const struct rule *
choice_of(const struct subschema *s, unsigned depth)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct rule *r = &s->rules[i];

		if (r->kind == RULE_CONST || r->kind == RULE_ENUM)
			return r;
		if (r->kind == RULE_REF && r->schema && depth < DEPTH_MAX)
			return choice_of(r->schema, depth + 1);
	}
	return NULL;
}

static enum verdict
try_choice(struct check *c, const struct rule *choice, const cJSON *value)
{
	static const struct place nowhere = { .parent = NULL };
	enum verdict verdict;

	c->quiet++;
	verdict = schema_rules[choice->kind].check(c, choice, value, &nowhere);
	c->quiet--;
	return verdict;
}

/* How the value's members are with those that tell alternatives apart. */
struct fingerprint {
	bool matches;
	const char *differs;     /* the first that does not; NULL: none */
};

static void take_fingerprint(struct check *c, const struct subschema *s,
    const cJSON *value, unsigned depth, struct fingerprint *f);

static void
take_members(struct check *c, const struct members *m, const cJSON *value,
    struct fingerprint *f)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct property *p = &m->properties[i];
		const struct rule *choice =
		    p->schema != NULL ? choice_of(p->schema, 0) : NULL;
		const cJSON *item = choice == NULL ? NULL :
		    cJSON_GetObjectItemCaseSensitive(value, p->name);

		if (item == NULL)
			continue;
		if (try_choice(c, choice, item) != MISFIT)
			f->matches = true;
		else if (f->differs == NULL)
			f->differs = p->name;
	}
}

static void
take_fingerprint(struct check *c, const struct subschema *s,
    const cJSON *value, unsigned depth, struct fingerprint *f)
{
	if (depth > DEPTH_MAX)
		return;
	for (size_t i = 0; i < s->n; i++) {
		const struct rule *r = &s->rules[i];

		if (r->kind == RULE_MEMBERS)
			take_members(c, r->members, value, f);
		else if (r->kind == RULE_REF && r->schema != NULL)
			take_fingerprint(c, r->schema, value, depth + 1, f);
		for (size_t k = 0; r->kind == RULE_ALL_OF && k < r->list->n; k++)
			take_fingerprint(c, r->list->of[k], value, depth + 1, f);
	}
}

static void
choose_by_type(struct meant *meant, const struct schema_list *list,
    enum type got)
{
	for (size_t i = 0; i < list->n && meant->n < LIST_MAX; i++) {
		if (schema_types_of(list->of[i]) & got)
			meant->of[meant->n++] = list->of[i];
	}
}

/* Those with a property that has the value's; or else without one that has not. */
static void
choose_by_property(struct check *c, struct meant *meant, const cJSON *value)
{
	struct meant matching = { .n = 0 }, possible = { .n = 0 };
	const char *differs = NULL;
	bool same = true;

	for (size_t i = 0; i < meant->n; i++) {
		struct fingerprint f = { .differs = NULL };

		take_fingerprint(c, meant->of[i], value, 0, &f);
		if (f.differs == NULL)
			possible.of[possible.n++] = meant->of[i];
		if (f.differs == NULL && f.matches)
			matching.of[matching.n++] = meant->of[i];
		same &= f.differs != NULL && (differs == NULL ||
		    strcmp(differs, f.differs) == 0);
		differs = f.differs;
	}
	if (matching.n > 0)
		*meant = matching;
	else if (possible.n > 0)
		*meant = possible;
	else if (same)
		meant->property = differs;
}

/* Telling ----------------------------------------------------------------------- */

static void
tell_type(struct check *c, unsigned types, enum type got,
    const struct place *at)
{
	if (!schema_problem(c, at))
		return;
	strbuf_add_str(c->problems, "expected ");
	schema_add_types(c->problems, types);
	strbuf_add_str(c->problems, ", got ");
	schema_add_types(c->problems, got == TYPE_INTEGER ? TYPE_NUMBER : got);
}

static void
add_choices(struct strbuf *sb, const struct rule *choice, const char **between)
{
	const cJSON *one = choice->kind == RULE_ENUM ? choice->value->child :
	    choice->value;

	for (; one != NULL; one = choice->kind == RULE_ENUM ? one->next : NULL) {
		strbuf_add_str(sb, *between);
		number_write_tree(sb, one);
		*between = ", ";
	}
}

static const struct rule *
choice_of_property(const struct subschema *s, const char *name, unsigned depth)
{
	const struct rule *found = NULL;

	for (size_t i = 0; i < s->n && found == NULL && depth <= DEPTH_MAX; i++) {
		const struct rule *r = &s->rules[i];

		for (size_t k = 0; r->kind == RULE_MEMBERS && k < r->members->n;
		    k++) {
			const struct property *p = &r->members->properties[k];

			if (p->schema != NULL && strcmp(p->name, name) == 0)
				found = choice_of(p->schema, 0);
		}
		if (r->kind == RULE_REF && r->schema != NULL)
			found = choice_of_property(r->schema, name, depth + 1);
		for (size_t k = 0; r->kind == RULE_ALL_OF && !found &&
		    k < r->list->n; k++)
			found = choice_of_property(r->list->of[k], name,
			    depth + 1);
	}
	return found;
}

/* A property with a value that none of them has. */
static void
tell_property(struct check *c, const struct meant *meant,
    const struct place *parent)
{
	struct place at = { .parent = parent, .name = meant->property };
	const char *between = "must be one of ";

	if (!schema_problem(c, &at))
		return;
	for (size_t i = 0; i < meant->n; i++) {
		const struct rule *choice = choice_of_property(meant->of[i],
		    meant->property, 0);

		if (choice != NULL)
			add_choices(c->problems, choice, &between);
	}
}

/* One problem of each. */
static void
tell_some(struct check *c, const struct meant *meant, size_t n,
    const cJSON *value, const struct place *at)
{
	struct check hints = *c;

	if (!schema_problem(c, at))
		return;
	strbuf_addf(c->problems, "fits none of the %zu alternatives", n);
	if (meant->n > SHOWN_MAX)
		return;
	strbuf_add_str(c->problems, " (");
	hints.between = ", or ";
	hints.count = 0;
	for (size_t i = 0; i < meant->n; i++) {
		hints.max = hints.count + 1;
		hints.steps = c->steps;
		if (schema_check_value(&hints, meant->of[i], value, at) != MISFIT)
			break;
		hints.count = hints.max;
		c->steps = hints.steps;
		c->matching = hints.matching;
	}
	strbuf_add_char(c->problems, ')');
}

void
schema_tell_alternatives(struct check *c, const struct schema_list *list,
    const cJSON *value, const struct place *at)
{
	enum type got = schema_type_of(value);
	struct meant meant = { .n = 0 };
	unsigned types = 0;

	if (!schema_check_tells(c))
		return;
	for (size_t i = 0; i < list->n; i++)
		types |= schema_types_of(list->of[i]);
	choose_by_type(&meant, list, got);
	if (meant.n > 1 && got == TYPE_OBJECT)
		choose_by_property(c, &meant, value);
	if (meant.n == 0 && types != 0)
		tell_type(c, types, got, at);
	else if (meant.property != NULL)
		tell_property(c, &meant, at);
	else if (meant.n == 1 && schema_check_value(c, meant.of[0], value,
	    at) == MISFIT)
		return;
	else
		tell_some(c, &meant, list->n, value, at);
}
