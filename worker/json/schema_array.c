/* Rules about arrays: their items, how many, of which kind, all different. */
#include "worker/json/schema_private.h"

#include <math.h>
#include <stdlib.h>

#include "common/xalloc.h"

/* Items ------------------------------------------------------------------------- */

/* Up to 2019-09, items may be a list, and additionalItems what comes behind it. */
static bool
fill_elements(struct compiler *c, const struct keywords *in,
    struct elements *e)
{
	cJSON *items = in->of[KEY_ITEMS];
	cJSON *first = in->of[KEY_PREFIX_ITEMS];

	if (first != NULL && !cJSON_IsArray(first))
		return schema_refuse(c, "prefixItems must be a list");
	if (cJSON_IsArray(items)) {
		first = first != NULL ? first : items;
		items = in->of[KEY_ADDITIONAL_ITEMS];
	}
	if (first != NULL) {
		e->first = schema_compile_list(c, first);
		if (e->first == NULL)
			return false;
	}
	if (items == NULL)
		return true;
	e->others = schema_compile(c, items);
	return e->others != NULL;
}

bool
compile_elements(struct compiler *c, const struct keywords *in,
    struct rule *rule)
{
	rule->elements = xcalloc(1, sizeof(*rule->elements));
	return fill_elements(c, in, rule->elements);
}

void
release_elements(struct rule *rule)
{
	free(rule->elements->first);
	free(rule->elements);
}

enum verdict
check_elements(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	const struct elements *e = rule->elements;
	size_t first = e->first != NULL ? e->first->n : 0;
	struct place here = { .parent = at };
	enum verdict all = FITS;
	const cJSON *item;

	cJSON_ArrayForEach(item, value) {
		const struct subschema *s = here.index < first ?
		    e->first->of[here.index] : e->others;

		if (s == NULL)
			break;
		if (here.index >= first && s == &schema_none)
			return schema_check_count(c, false,
			    "must have at most ", (double)first, "item", at);
		all = worse(all, schema_check_value(c, s, item, &here));
		if (all == MISFIT && !schema_check_tells(c))
			break;
		here.index++;
	}
	return all;
}

/* How many ---------------------------------------------------------------------- */

enum verdict
check_min_items(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	return schema_check_count(c, cJSON_GetArraySize(value) >= rule->count,
	    "must have at least ", rule->count, "item", at);
}

enum verdict
check_max_items(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	return schema_check_count(c, cJSON_GetArraySize(value) <= rule->count,
	    "must have at most ", rule->count, "item", at);
}

/* contains ---------------------------------------------------------------------- */

static bool
read_count(struct compiler *c, double *to, const cJSON *value)
{
	if (value == NULL)
		return true;
	if (!cJSON_IsNumber(value))
		return schema_refuse(c, "a limit must be a number");
	*to = value->valuedouble;
	return true;
}

bool
compile_contains(struct compiler *c, const struct keywords *in,
    struct rule *rule)
{
	struct contains *contains = xcalloc(1, sizeof(*contains));

	rule->contains = contains;
	contains->min = 1;
	contains->max = INFINITY;
	if (!read_count(c, &contains->min, in->of[KEY_MIN_CONTAINS]) ||
	    !read_count(c, &contains->max, in->of[KEY_MAX_CONTAINS]))
		return false;
	contains->schema = schema_compile(c, in->of[KEY_CONTAINS]);
	return contains->schema != NULL;
}

void
release_contains(struct rule *rule)
{
	free(rule->contains);
}

static enum verdict
wrong_number(struct check *c, const char *words, double n,
    const struct place *at)
{
	if (schema_problem(c, at)) {
		strbuf_add_str(c->problems, words);
		schema_add_count(c->problems, n, "item");
		strbuf_add_str(c->problems, " of the kind it must contain");
	}
	return MISFIT;
}

enum verdict
check_contains(struct check *c, const struct rule *rule, const cJSON *value,
    const struct place *at)
{
	const struct contains *contains = rule->contains;
	double count[] = { [FITS] = 0, [UNSURE] = 0, [MISFIT] = 0 };
	const cJSON *item;

	cJSON_ArrayForEach(item, value) {
		count[schema_try(c, contains->schema, item)]++;
	}
	if (count[FITS] + count[UNSURE] < contains->min)
		return wrong_number(c, "must have at least ", contains->min, at);
	if (count[FITS] > contains->max)
		return wrong_number(c, "must have at most ", contains->max, at);
	return count[UNSURE] > 0 ? UNSURE : FITS;
}

/* uniqueItems ------------------------------------------------------------------- */

struct hashed {
	uint64_t hash;
	const cJSON *item;
	size_t index;
};

bool
compile_unique(struct compiler *c, const struct keywords *in,
    struct rule *rule)
{
	if (!cJSON_IsBool(in->of[KEY_UNIQUE_ITEMS]))
		return schema_refuse(c, "uniqueItems must be true or false");
	if (!cJSON_IsTrue(in->of[KEY_UNIQUE_ITEMS]))
		rule->kind = RULE_NONE;
	return true;
}

static int
compare_hashes(const void *a, const void *b)
{
	const struct hashed *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash > y->hash ? 1 : -1;
	return (x->index > y->index) - (x->index < y->index);
}

/* Of those with the hash of all[0], one that equals it; NULL: none. */
static const struct hashed *
find_equal(struct check *c, const struct hashed *all, size_t n)
{
	for (size_t i = 1; i < n && all[i].hash == all[0].hash; i++) {
		if (schema_equal(c, all[0].item, all[i].item))
			return &all[i];
	}
	return NULL;
}

static enum verdict
check_hashed(struct check *c, const struct hashed *all, size_t n,
    const struct place *at)
{
	for (size_t i = 0; i < n; i++) {
		const struct hashed *same = find_equal(c, &all[i], n - i);

		if (same == NULL)
			continue;
		if (schema_problem(c, at))
			strbuf_addf(c->problems, "items must differ, but "
			    "[%zu] and [%zu] are equal", all[i].index,
			    same->index);
		return MISFIT;
	}
	return c->steps > 0 ? FITS : UNSURE;
}

enum verdict
check_unique(struct check *c, const struct rule *rule UNUSED,
    const cJSON *value, const struct place *at)
{
	size_t n = (size_t)cJSON_GetArraySize(value), i = 0;
	enum verdict verdict;
	struct hashed *all;
	const cJSON *item;

	if (n < 2)
		return FITS;
	all = xcalloc(n, sizeof(*all));
	cJSON_ArrayForEach(item, value) {
		all[i] = (struct hashed){ schema_hash(c, item), item, i };
		i++;
	}
	qsort(all, n, sizeof(*all), compare_hashes);
	verdict = check_hashed(c, all, n, at);
	free(all);
	return verdict;
}
