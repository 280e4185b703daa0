/*
 * What the files of a schema share; nobody else includes it.
 *
 * schema.c compiles a schema's JSON into subschemas, each a set of types and a list
 * of rules; schema_rules.c has the table of keywords and that of rules. A family
 * of rules is one file that compiles and checks them: schema_value.c (enum, const,
 * numbers, strings), schema_object.c, schema_array.c, schema_combine.c,
 * schema_unevaluated.c. schema_refs.c finds what references mean, schema_check.c
 * goes through a value and tells of problems, schema_alternatives.c of which, when
 * a value fits none of several schemas; schema_equal.c compares values.
 */
#ifndef MCP_WORKER_SCHEMA_PRIVATE_H
#define MCP_WORKER_SCHEMA_PRIVATE_H

#include "worker/json/schema.h"

enum type {
	TYPE_NULL = 1,
	TYPE_BOOLEAN = 2,
	TYPE_OBJECT = 4,
	TYPE_ARRAY = 8,
	TYPE_NUMBER = 16,
	TYPE_STRING = 32,
	TYPE_INTEGER = 64,
	TYPE_ANY = 127
};
#define TYPE_NUMBERS (TYPE_NUMBER | TYPE_INTEGER)

#define SCHEMA_TYPES 7
/* What types are called in a schema, and in what is said of values. */
extern const struct schema_type {
	const char *name;
	enum type type;
} schema_types[SCHEMA_TYPES];

/* Keywords that are not annotations, in the order of their names' bytes. */
enum keyword {
	KEY_DEFS,
	KEY_DYNAMIC_REF,
	KEY_RECURSIVE_REF,
	KEY_REF,
	KEY_ADDITIONAL_ITEMS,
	KEY_ADDITIONAL_PROPERTIES,
	KEY_ALL_OF,
	KEY_ANY_OF,
	KEY_CONST,
	KEY_CONTAINS,
	KEY_DEFINITIONS,
	KEY_DEPENDENCIES,
	KEY_DEPENDENT_REQUIRED,
	KEY_DEPENDENT_SCHEMAS,
	KEY_ELSE,
	KEY_ENUM,
	KEY_EXCLUSIVE_MAXIMUM,
	KEY_EXCLUSIVE_MINIMUM,
	KEY_IF,
	KEY_ITEMS,
	KEY_MAX_CONTAINS,
	KEY_MAX_ITEMS,
	KEY_MAX_LENGTH,
	KEY_MAX_PROPERTIES,
	KEY_MAXIMUM,
	KEY_MIN_CONTAINS,
	KEY_MIN_ITEMS,
	KEY_MIN_LENGTH,
	KEY_MIN_PROPERTIES,
	KEY_MINIMUM,
	KEY_MULTIPLE_OF,
	KEY_NOT,
	KEY_ONE_OF,
	KEY_PATTERN,
	KEY_PATTERN_PROPERTIES,
	KEY_PREFIX_ITEMS,
	KEY_PROPERTIES,
	KEY_PROPERTY_NAMES,
	KEY_REQUIRED,
	KEY_THEN,
	KEY_TYPE,
	KEY_UNEVALUATED_ITEMS,
	KEY_UNEVALUATED_PROPERTIES,
	KEY_UNIQUE_ITEMS,
	KEYWORDS
};

/* A schema's members that are keywords; NULL: not there. */
struct keywords {
	cJSON *of[KEYWORDS];
	uint64_t present;        /* a bit for each that is there */
};

/* Rules, in the order in which they are checked. */
enum rule_kind {
	RULE_CONST,
	RULE_ENUM,
	RULE_MINIMUM,
	RULE_MAXIMUM,
	RULE_ABOVE,              /* exclusiveMinimum */
	RULE_BELOW,              /* exclusiveMaximum */
	RULE_MULTIPLE,
	RULE_MIN_LENGTH,
	RULE_MAX_LENGTH,
	RULE_PATTERN,
	RULE_MIN_ITEMS,
	RULE_MAX_ITEMS,
	RULE_UNIQUE,
	RULE_ELEMENTS,           /* items, prefixItems, additionalItems */
	RULE_CONTAINS,           /* with minContains, maxContains */
	RULE_MEMBERS,            /* properties, required, patternProperties... */
	RULE_MIN_PROPERTIES,
	RULE_MAX_PROPERTIES,
	RULE_NAMES,
	RULE_DEPENDENT,
	RULE_REF,
	RULE_UNKNOWN,            /* $recursiveRef */
	RULE_ALL_OF,
	RULE_ANY_OF,
	RULE_ONE_OF,
	RULE_NOT,
	RULE_IF,                 /* with then, else */
	RULE_UNEVALUATED_ITEMS,
	RULE_UNEVALUATED_PROPERTIES,
	RULES,
	RULE_NONE                /* of compiling: nothing to hold values to */
};

struct subschema;

struct schema_list {
	size_t n;
	const struct subschema *of[];
};

struct property {
	char *name;
	const struct subschema *schema;  /* NULL: named in "required" only */
	bool required;
};

struct pattern_property {
	struct pattern *pattern;
	const struct subschema *schema;
};

struct members {
	struct property *properties;
	size_t n;
	struct pattern_property *patterns;
	size_t pattern_count;
	const struct subschema *others;  /* NULL: any */
};

struct elements {
	struct schema_list *first;       /* NULL: none */
	const struct subschema *others;  /* NULL: any */
};

struct contains {
	const struct subschema *schema;
	double min, max;
};

struct conditional {
	const struct subschema *condition;
	const struct subschema *yes, *no;  /* NULL: any */
};

struct dependents;

struct unevaluated {
	const struct subschema *within;  /* whose rule it is */
	const struct subschema *schema;
};

struct rule {
	enum rule_kind kind;
	union {
		cJSON *value;
		double count;
		struct pattern *pattern;
		struct members *members;
		struct elements *elements;
		struct contains *contains;
		struct dependents *dependents;
		struct conditional *conditional;
		struct unevaluated *unevaluated;
		struct schema_list *list;
		const struct subschema *schema;  /* of RULE_REF: NULL, unknown */
	};
};

struct subschema {
	struct subschema *next;  /* of those that the schema owns */
	struct rule *rules;
	unsigned char types;     /* enum type, or-ed; none: nothing fits */
	unsigned char n;
};

/* What fits everything, and what nothing fits. */
extern const struct subschema schema_any, schema_none;

struct schema {
	const struct subschema *root;
	struct subschema *all;
	bool overlap;            /* alternatives of a oneOf may */
};

/* Compiling ------------------------------------------------------------------ */

struct compiler;

/* Notes why the schema is none, a static text; false. */
bool schema_refuse(struct compiler *c, const char *reason);
/* NULL: it has been refused. What it returns may still be empty, but stays. */
const struct subschema *schema_compile(struct compiler *c,
    cJSON *json) MUST_CHECK;
/* The subschema that is being compiled. */
const struct subschema *schema_compiling(const struct compiler *c);
/* NULL: refused. */
struct schema_list *schema_compile_list(struct compiler *c,
    cJSON *json) MUST_CHECK;
/* The rule of that kind, or NULL. */
const struct rule *schema_rule_of(const struct subschema *s,
    enum rule_kind kind);

enum schema_shape { SHAPE_NONE, SHAPE_SCHEMA, SHAPE_LIST, SHAPE_MAP };

/* What a keyword's value holds of schemas; SHAPE_NONE, too, if it is unknown. */
enum schema_shape schema_shape_of(const cJSON *member);
void schema_keywords_read(struct keywords *in, cJSON *json);

/* References (schema_refs.c): */

/* What is known of the whole document, for references. */
struct schema_refs {
	cJSON *root;
	bool alone;              /* $ref without siblings: drafts up to 7 */
	const char *id;          /* the keyword: "$id", in draft 4 "id" */
	struct anchor *anchors;
	size_t n;
	bool scanned;
};

void schema_refs_init(struct schema_refs *refs, cJSON *root);
void schema_refs_release(struct schema_refs *refs);
/* A schema with an id of its own, to which references within it are relative. */
bool schema_refs_is_resource(const struct schema_refs *refs, const cJSON *json);
/*
 * What a reference within *resource means; *resource becomes that in which it
 * is. NULL: nothing that is known here.
 */
cJSON *schema_refs_find(struct schema_refs *refs, const char *ref,
    bool dynamic, cJSON **resource) MUST_CHECK;

/* Checking ------------------------------------------------------------------- */

/*
 * UNSURE when it depends on what is unknown; that counts as fitting in the end,
 * but what is not UNSURE is no misfit either. The worse is the greater.
 */
enum verdict { FITS, UNSURE, MISFIT };

static inline enum verdict
worse(enum verdict a, enum verdict b)
{
	return a > b ? a : b;
}

/* Where a value stands: a chain through the callers' frames. */
struct place {
	const struct place *parent;   /* NULL: the arguments themselves */
	const char *name;             /* of a property, or NULL: an element */
	size_t index;
};

struct check {
	struct strbuf *problems;
	const char *between;     /* two problems */
	unsigned count, max;     /* of problems */
	unsigned quiet;          /* not 0: within what is only tried */
	unsigned depth;
	bool overlap;            /* as of the schema */
	long steps;              /* that are left, see schema_check_spend() */
	struct pattern_match *matching;  /* NULL: no pattern yet */
};

/* Takes steps, of some 10 ns each. False: there are none left. */
static inline bool
schema_check_spend(struct check *c, size_t steps)
{
	c->steps = c->steps > (long)steps ? c->steps - (long)steps : 0;
	return c->steps > 0;
}

/* The same for so many bytes, or names, that are looked at one by one. */
static inline bool
schema_check_scan(struct check *c, size_t n)
{
	return schema_check_spend(c, n / 16);
}

/* Would a problem be told? If not, one is enough. */
static inline bool
schema_check_tells(const struct check *c)
{
	return c->quiet == 0 && c->count < c->max;
}

/* Begins a problem's text; false when it is not to be told. */
bool schema_problem(struct check *c, const struct place *at) MUST_CHECK;
/* The same with all of the text; MISFIT. */
enum verdict schema_misfit(struct check *c, const struct place *at,
    const char *text);
/* "number", "string or null", "value" for any. */
void schema_add_types(struct strbuf *sb, unsigned types);
/* "3 items", "1 item", "0 properties". */
void schema_add_count(struct strbuf *sb, double n, const char *what);
/* FITS; or what is wrong, in these words with such a count behind them. */
enum verdict schema_check_count(struct check *c, bool fits, const char *words,
    double n, const char *what, const struct place *at);
enum type schema_type_of(const cJSON *value);
/* The types that may fit, through references and alternatives. */
unsigned schema_types_of(const struct subschema *s);

enum verdict schema_check_value(struct check *c, const struct subschema *s,
    const cJSON *value, const struct place *at) MUST_CHECK;
/* The same without a word. */
enum verdict schema_try(struct check *c, const struct subschema *s,
    const cJSON *value) MUST_CHECK;

/* Tells why the value fits none of these. */
void schema_tell_alternatives(struct check *c, const struct schema_list *list,
    const cJSON *value, const struct place *at);

/* As cJSON_Compare(), but with numbers as they are written. */
bool schema_equal(struct check *c, const cJSON *a, const cJSON *b) MUST_CHECK;
/* Equal values have equal ones. */
uint64_t schema_hash(struct check *c, const cJSON *value);

/* Rules ---------------------------------------------------------------------- */

/*
 * Compiling fills in the rule; false: refused. It may make it RULE_NONE. What it
 * has filled in is released in any case.
 */
typedef bool rule_compile_fn(struct compiler *c, const struct keywords *in,
    struct rule *rule);
typedef enum verdict rule_check_fn(struct check *c, const struct rule *rule,
    const cJSON *value, const struct place *at);
typedef void rule_release_fn(struct rule *rule);

struct schema_rule {
	uint64_t keywords;       /* any of which makes the rule */
	unsigned types;          /* of values that it is about */
	rule_compile_fn *compile;
	rule_check_fn *check;
	rule_release_fn *release;  /* NULL: nothing to do */
};

extern const struct schema_rule schema_rules[RULES];

rule_compile_fn compile_const, compile_enum, compile_limit, compile_multiple,
    compile_count, compile_pattern, compile_unique, compile_elements,
    compile_contains, compile_members, compile_names, compile_dependent,
    compile_ref, compile_unknown, compile_alternatives, compile_not, compile_if,
    compile_unevaluated;
rule_check_fn check_const, check_enum, check_limit, check_multiple,
    check_min_length, check_max_length, check_pattern, check_min_items,
    check_max_items, check_unique, check_elements, check_contains,
    check_members, check_min_properties, check_max_properties, check_names,
    check_dependent, check_ref, check_unknown, check_all_of, check_any_of,
    check_one_of, check_not, check_if, check_unevaluated;
rule_release_fn release_value, release_pattern, release_elements,
    release_contains, release_members, release_dependent, release_list,
    release_if, release_unevaluated;

/* For schema_unevaluated.c: the schema of what is there when name is. */
const struct subschema *schema_dependent_on(const struct dependents *d,
    const cJSON *value, size_t *next);

#endif
