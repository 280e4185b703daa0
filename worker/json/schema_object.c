/* Rules about objects: their members, how many, what they are called. */
#include "worker/json/schema_private.h"

#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/json/schema_pattern.h"

/* Members: compiling ------------------------------------------------------------- */

static struct property *
property(struct members *m, const char *name)
{
	struct property *p;

	for (size_t i = 0; i < m->n; i++) {
		if (strcmp(m->properties[i].name, name) == 0)
			return &m->properties[i];
	}
	m->properties = xrealloc(m->properties,
	    (m->n + 1) * sizeof(*m->properties));
	p = &m->properties[m->n++];
	*p = (struct property){ .name = xstrdup(name) };
	return p;
}

static bool
add_properties(struct compiler *c, struct members *m, cJSON *value)
{
	cJSON *item;

	if (!cJSON_IsObject(value))
		return schema_refuse(c, "properties must be an object");
	cJSON_ArrayForEach(item, value) {
		const struct subschema *s = schema_compile(c, item);
		struct property *p;

		if (s == NULL)
			return false;
		p = property(m, item->string);
		if (p->schema != NULL)
			return schema_refuse(c, "a property is declared twice");
		p->schema = s;
	}
	return true;
}

static bool
add_required(struct compiler *c, struct members *m, const cJSON *value)
{
	const cJSON *name;

	if (!cJSON_IsArray(value))
		return schema_refuse(c, "required must be a list");
	cJSON_ArrayForEach(name, value) {
		if (!cJSON_IsString(name))
			return schema_refuse(c, "required must hold names");
		property(m, name->valuestring)->required = true;
	}
	return true;
}

static bool
add_patterns(struct compiler *c, struct members *m, cJSON *value)
{
	cJSON *item;

	if (!cJSON_IsObject(value))
		return schema_refuse(c, "patternProperties must be an object");
	m->patterns = xcalloc((size_t)cJSON_GetArraySize(value) + 1,
	    sizeof(*m->patterns));
	cJSON_ArrayForEach(item, value) {
		const struct subschema *s = schema_compile(c, item);

		if (s == NULL)
			return false;
		m->patterns[m->pattern_count++] = (struct pattern_property){
			.pattern = pattern_new(item->string), .schema = s };
	}
	return true;
}

bool
compile_members(struct compiler *c, const struct keywords *in,
    struct rule *rule)
{
	cJSON *others = in->of[KEY_ADDITIONAL_PROPERTIES];
	struct members *m = xcalloc(1, sizeof(*m));

	rule->members = m;
	if (in->of[KEY_PROPERTIES] != NULL &&
	    !add_properties(c, m, in->of[KEY_PROPERTIES]))
		return false;
	if (in->of[KEY_REQUIRED] != NULL &&
	    !add_required(c, m, in->of[KEY_REQUIRED]))
		return false;
	if (in->of[KEY_PATTERN_PROPERTIES] != NULL &&
	    !add_patterns(c, m, in->of[KEY_PATTERN_PROPERTIES]))
		return false;
	if (others == NULL)
		return true;
	m->others = schema_compile(c, others);
	return m->others != NULL;
}

void
release_members(struct rule *rule)
{
	struct members *m = rule->members;

	for (size_t i = 0; i < m->n; i++)
		free(m->properties[i].name);
	for (size_t i = 0; i < m->pattern_count; i++)
		pattern_free(m->patterns[i].pattern);
	free(m->properties);
	free(m->patterns);
	free(m);
}

/* Members: checking -------------------------------------------------------------- */

/* UNSURE: it would take too long to find out. */
static enum verdict
has(struct check *c, const cJSON *object, const char *name)
{
	const cJSON *item;
	size_t n = 0;

	cJSON_ArrayForEach(item, object) {
		n++;
		if (strcmp(item->string, name) == 0)
			break;
	}
	if (!schema_check_spend(c, n))
		return UNSURE;
	return item != NULL ? FITS : MISFIT;
}

static enum verdict
check_required(struct check *c, const struct property *p,
    const struct place *parent)
{
	struct place at = { .parent = parent, .name = p->name };

	if (!schema_problem(c, &at))
		return MISFIT;
	strbuf_add_str(c->problems, "required ");
	schema_add_types(c->problems,
	    p->schema ? schema_types_of(p->schema) : TYPE_ANY);
	strbuf_add_str(c->problems, " is missing");
	return MISFIT;
}

static const struct property *
declared(const struct members *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->properties[i].schema != NULL &&
		    strcmp(m->properties[i].name, name) == 0)
			return &m->properties[i];
	}
	return NULL;
}

static enum verdict
check_other(struct check *c, const struct members *m, const cJSON *value,
    const struct place *at)
{
	if (m->others == NULL)
		return FITS;
	if (m->others == &schema_none)
		return schema_misfit(c, at, "unknown argument");
	return schema_check_value(c, m->others, value, at);
}

/* Sets *matched to the worst that is known of the patterns' matching. */
static enum verdict
check_patterns(struct check *c, const struct members *m, const cJSON *value,
    const struct place *at, enum verdict *matched)
{
	enum verdict all = FITS;

	*matched = MISFIT;
	for (size_t i = 0; i < m->pattern_count; i++) {
		const struct pattern_property *p = &m->patterns[i];
		enum verdict match = pattern_match(c, p->pattern, value->string);

		if (match < *matched)
			*matched = match;
		if (match == UNSURE)
			all = worse(all, UNSURE);
		else if (match == FITS)
			all = worse(all,
			    schema_check_value(c, p->schema, value, at));
	}
	return all;
}

static enum verdict
check_member(struct check *c, const struct members *m, const cJSON *value,
    const struct place *parent)
{
	struct place at = { .parent = parent, .name = value->string };
	const struct property *p = declared(m, value->string);
	enum verdict all = FITS, matched = MISFIT;

	if (p != NULL)
		all = schema_check_value(c, p->schema, value, &at);
	if (m->pattern_count > 0)
		all = worse(all, check_patterns(c, m, value, &at, &matched));
	if (p == NULL && matched == MISFIT)
		all = worse(all, check_other(c, m, value, &at));
	return all;
}

enum verdict
check_members(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	const struct members *m = rule->members;
	enum verdict all = FITS;
	const cJSON *item;

	for (size_t i = 0; i < m->n; i++) {
		const struct property *p = &m->properties[i];

		if (p->required && has(c, value, p->name) == MISFIT)
			all = check_required(c, p, at);
	}
	cJSON_ArrayForEach(item, value) {
		if (all == MISFIT && !schema_check_tells(c))
			break;
		if (!schema_check_scan(c, 16 + m->n * 4))
			return worse(all, UNSURE);
		all = worse(all, check_member(c, m, item, at));
	}
	return all;
}

/* How many, and their names ------------------------------------------------------- */

enum verdict
check_min_properties(struct check *c, const struct rule *rule,
    const cJSON *value, const struct place *at)
{
	return schema_check_count(c, cJSON_GetArraySize(value) >= rule->count,
	    "must have at least ", rule->count, "property", at);
}

enum verdict
check_max_properties(struct check *c, const struct rule *rule,
    const cJSON *value, const struct place *at)
{
	return schema_check_count(c, cJSON_GetArraySize(value) <= rule->count,
	    "must have at most ", rule->count, "property", at);
}

bool
compile_names(struct compiler *c, const struct keywords *in, struct rule *rule)
{
	rule->schema = schema_compile(c, in->of[KEY_PROPERTY_NAMES]);
	return rule->schema != NULL;
}

enum verdict
check_names(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *parent)
{
	enum verdict all = FITS;
	const cJSON *item;

	cJSON_ArrayForEach(item, value) {
		const cJSON name = { .type = cJSON_String,
			.valuestring = item->string };
		struct place at = { .parent = parent, .name = item->string };
		enum verdict one = schema_try(c, rule->schema, &name);

		if (one == MISFIT)
			schema_misfit(c, &at, "is not allowed as a name");
		all = worse(all, one);
		if (all == MISFIT && !schema_check_tells(c))
			break;
	}
	return all;
}

/* What depends on a member -------------------------------------------------------- */

struct dependency {
	char *on;
	const struct subschema *schema;  /* NULL: names instead */
	char **names;
	size_t n;
};

struct dependents {
	struct dependency *all;
	size_t n;
};

static bool
add_names(struct compiler *c, struct dependency *d, const cJSON *names)
{
	const cJSON *name;

	d->names = xcalloc((size_t)cJSON_GetArraySize(names) + 1,
	    sizeof(char *));
	cJSON_ArrayForEach(name, names) {
		if (!cJSON_IsString(name))
			return schema_refuse(c, "dependencies must hold names");
		d->names[d->n++] = xstrdup(name->valuestring);
	}
	return true;
}

static bool
add_dependency(struct compiler *c, struct dependents *all, cJSON *item)
{
	struct dependency *d;
	size_t i = all->n;

	all->all = xrealloc(all->all, (i + 1) * sizeof(*all->all));
	d = &all->all[all->n++];
	*d = (struct dependency){ .on = xstrdup(item->string) };
	if (cJSON_IsArray(item))
		return add_names(c, d, item);
	d->schema = schema_compile(c, item);
	return d->schema != NULL;
}

bool
compile_dependent(struct compiler *c, const struct keywords *in,
    struct rule *rule)
{
	static const enum keyword of[] = { KEY_DEPENDENCIES,
		KEY_DEPENDENT_REQUIRED, KEY_DEPENDENT_SCHEMAS };
	cJSON *item;

	rule->dependents = xcalloc(1, sizeof(*rule->dependents));
	for (size_t i = 0; i < ARRAY_LEN(of); i++) {
		if (in->of[of[i]] != NULL && !cJSON_IsObject(in->of[of[i]]))
			return schema_refuse(c,
			    "dependencies must be an object");
		cJSON_ArrayForEach(item, in->of[of[i]]) {
			if (!add_dependency(c, rule->dependents, item))
				return false;
		}
	}
	return true;
}

void
release_dependent(struct rule *rule)
{
	struct dependents *all = rule->dependents;

	for (size_t i = 0; i < all->n; i++) {
		for (size_t k = 0; k < all->all[i].n; k++)
			free(all->all[i].names[k]);
		free(all->all[i].names);
		free(all->all[i].on);
	}
	free(all->all);
	free(all);
}

static enum verdict
check_needed(struct check *c, const struct dependency *d, const cJSON *value,
    const struct place *parent)
{
	enum verdict all = FITS;

	for (size_t i = 0; i < d->n; i++) {
		struct place at = { .parent = parent, .name = d->names[i] };

		if (has(c, value, d->names[i]) != MISFIT)
			continue;
		all = MISFIT;
		if (!schema_problem(c, &at))
			continue;
		strbuf_add_str(c->problems, "is missing, and required beside ");
		strbuf_add_str(c->problems, d->on);
	}
	return all;
}

enum verdict
check_dependent(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	const struct dependents *all = rule->dependents;
	enum verdict verdict = FITS;

	for (size_t i = 0; i < all->n; i++) {
		const struct dependency *d = &all->all[i];

		if (has(c, value, d->on) != FITS)
			continue;
		verdict = worse(verdict, d->schema != NULL ?
		    schema_check_value(c, d->schema, value, at) :
		    check_needed(c, d, value, at));
	}
	return c->steps > 0 ? verdict : worse(verdict, UNSURE);
}

const struct subschema *
schema_dependent_on(const struct dependents *all, const cJSON *value,
    size_t *next)
{
	while (*next < all->n) {
		const struct dependency *d = &all->all[(*next)++];

		if (d->schema != NULL &&
		    cJSON_GetObjectItemCaseSensitive(value, d->on))
			return d->schema;
	}
	return NULL;
}
