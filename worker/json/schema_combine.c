/* Rules made of other schemas: $ref, allOf, anyOf, oneOf, not, if. */
#include "worker/json/schema_private.h"

#include <stdlib.h>

#include "common/xalloc.h"

/* $ref -------------------------------------------------------------------------- */

/* Where it leads is found when the whole schema has been read. */
bool
compile_ref(struct compiler *c, const struct keywords *in,
    struct rule *rule UNUSED)
{
	const cJSON *ref = in->of[KEY_REF];

	if (cJSON_IsString(ref != NULL ? ref : in->of[KEY_DYNAMIC_REF]))
		return true;
	return schema_refuse(c, "$ref must be a string");
}

enum verdict
check_ref(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	if (rule->schema == NULL)
		return UNSURE;
	return schema_check_value(c, rule->schema, value, at);
}

bool
compile_unknown(struct compiler *c UNUSED, const struct keywords *in UNUSED,
    struct rule *rule UNUSED)
{
	return true;
}

enum verdict
check_unknown(struct check *c UNUSED, const struct rule *rule UNUSED,
    const cJSON *value UNUSED, const struct place *at UNUSED)
{
	return UNSURE;
}

/* allOf, anyOf, oneOf ------------------------------------------------------------- */

bool
compile_alternatives(struct compiler *c, const struct keywords *in,
    struct rule *rule)
{
	static const enum keyword of[RULES] = {
		[RULE_ALL_OF] = KEY_ALL_OF,
		[RULE_ANY_OF] = KEY_ANY_OF,
		[RULE_ONE_OF] = KEY_ONE_OF,
	};
	cJSON *value = in->of[of[rule->kind]];

	if (!cJSON_IsArray(value) || value->child == NULL)
		return schema_refuse(c,
		    "allOf, anyOf and oneOf must be lists of schemas");
	rule->list = schema_compile_list(c, value);
	return rule->list != NULL;
}

void
release_list(struct rule *rule)
{
	free(rule->list);
}

enum verdict
check_all_of(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	enum verdict all = FITS;

	for (size_t i = 0; i < rule->list->n; i++) {
		all = worse(all,
		    schema_check_value(c, rule->list->of[i], value, at));
		if (all == MISFIT && !schema_check_tells(c))
			break;
	}
	return all;
}

enum verdict
check_any_of(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	enum verdict best = MISFIT;

	for (size_t i = 0; i < rule->list->n && best != FITS; i++) {
		enum verdict one = schema_try(c, rule->list->of[i], value);

		best = one < best ? one : best;
	}
	if (best == MISFIT)
		schema_tell_alternatives(c, rule->list, value, at);
	return best;
}

enum verdict
check_one_of(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	size_t count[] = { [FITS] = 0, [UNSURE] = 0, [MISFIT] = 0 };

	for (size_t i = 0; i < rule->list->n; i++)
		count[schema_try(c, rule->list->of[i], value)]++;
	if (count[FITS] > 1 && c->overlap)
		return UNSURE;   /* so that a "not" around it lets it pass, too */
	if (count[FITS] > 1) {
		if (schema_problem(c, at))
			strbuf_addf(c->problems, "fits %zu of the alternatives, "
			    "but must fit only one", count[FITS]);
		return MISFIT;
	}
	if (count[UNSURE] > 0)
		return UNSURE;
	if (count[FITS] == 1)
		return FITS;
	schema_tell_alternatives(c, rule->list, value, at);
	return MISFIT;
}

/* not --------------------------------------------------------------------------- */

bool
compile_not(struct compiler *c, const struct keywords *in, struct rule *rule)
{
	rule->schema = schema_compile(c, in->of[KEY_NOT]);
	return rule->schema != NULL;
}

enum verdict
check_not(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	const struct subschema *s = rule->schema;
	enum verdict verdict = schema_try(c, s, value);

	if (verdict == MISFIT)
		return FITS;
	if (verdict == UNSURE)
		return UNSURE;
	if (s->types == TYPE_ANY && s->n == 0)
		return schema_misfit(c, at, "is not allowed");
	return schema_misfit(c, at, "is what \"not\" in its schema rules out");
}

/* if ---------------------------------------------------------------------------- */

static bool
compile_part(struct compiler *c, const struct subschema **to, cJSON *json)
{
	*to = json != NULL ? schema_compile(c, json) : &schema_any;
	return *to != NULL;
}

bool
compile_if(struct compiler *c, const struct keywords *in, struct rule *rule)
{
	struct conditional *i = xcalloc(1, sizeof(*i));

	rule->conditional = i;
	return compile_part(c, &i->condition, in->of[KEY_IF]) &&
	    compile_part(c, &i->yes, in->of[KEY_THEN]) &&
	    compile_part(c, &i->no, in->of[KEY_ELSE]);
}

void
release_if(struct rule *rule)
{
	free(rule->conditional);
}

enum verdict
check_if(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	const struct conditional *i = rule->conditional;
	enum verdict verdict = schema_try(c, i->condition, value);

	if (verdict == UNSURE)
		return UNSURE;
	return schema_check_value(c, verdict == FITS ? i->yes : i->no, value,
	    at);
}
