/* Which operations an overlay means, and what of it means none. */
#include <fnmatch.h>
#include <strings.h>

#include "worker/openapi/overlay.h"

/* Choosing --------------------------------------------------------------- */

/* Whether one of them matches; each that does is marked as used, if so asked. */
static bool
matches(const struct overlay_patterns *patterns, const char *text, int flags,
    bool mark)
{
	bool any = patterns->p == NULL;

	for (size_t i = 0; text && patterns->p && patterns->p[i]; i++) {
		if (fnmatch(patterns->p[i], text, flags) != 0)
			continue;
		patterns->used[i] |= mark;
		any = true;
	}
	return any;
}

static bool
has_tag(const struct overlay_patterns *patterns, const char **tags, bool mark)
{
	bool any = patterns->p == NULL;

	for (; patterns->p != NULL && *tags != NULL; tags++)
		any |= matches(patterns, *tags, FNM_NOESCAPE, mark);
	return any;
}

static bool
holds(const struct overlay_rule *rule, const struct operation *op, bool mark)
{
	return matches(&rule->operations, op->id, FNM_NOESCAPE, mark) &&
	       matches(&rule->methods, op->method, FNM_CASEFOLD, mark) &&
	       matches(&rule->paths, op->path, FNM_NOESCAPE, mark) &&
	       has_tag(&rule->tags, op->tags, mark);
}

/* A pattern is of use only where the whole rule matches. */
static bool
rule_matches(const struct overlay_rule *rule, const struct operation *op)
{
	return holds(rule, op, false) && holds(rule, op, true);
}

/* Each rule is asked, so that each knows whether it is of use. */
static bool
any_matches(struct overlay_rules *rules, const struct operation *op)
{
	bool any = false;

	for (size_t i = 0; i < rules->n; i++) {
		if (rule_matches(&rules->p[i], op)) {
			rules->p[i].used = true;
			any = true;
		}
	}
	return any;
}

bool
overlay_exposes(struct overlay *o, const struct operation *op)
{
	bool exposed = any_matches(&o->expose, op);

	return !any_matches(&o->hide, op) && exposed;
}

static bool
is_route(const char *text, const struct operation *op)
{
	size_t n = strlen(op->method);

	return strncasecmp(text, op->method, n) == 0 && text[n] == ' ' &&
	       strcmp(text + n + 1, op->path) == 0;
}

struct overlay_tool *
overlay_tool_of(struct overlay *o, const struct operation *op)
{
	for (size_t i = 0; i < o->tools.n; i++) {
		struct overlay_tool *t = &o->tools.p[i];

		if ((op->id != NULL && strcmp(t->operation, op->id) == 0) ||
		    is_route(t->operation, op)) {
			t->used = true;
			return t;
		}
	}
	return NULL;
}

/* Where a credential goes; the place of those without a name is not described. */
static bool
auth_sets(const struct overlay_auth *auth, const struct parameter *p)
{
	enum parameter_in in = auth->type == AUTH_QUERY ? IN_QUERY : IN_HEADER;

	if (auth->name == NULL || p->in != in)
		return false;
	return in == IN_QUERY ? strcmp(auth->name, p->name) == 0
			      : strcasecmp(auth->name, p->name) == 0;
}

bool
overlay_sets(const struct overlay *o, const struct parameter *p)
{
	for (size_t i = 0; i < o->auth.n; i++) {
		if (auth_sets(&o->auth.p[i], p))
			return true;
	}
	for (size_t i = 0; p->in == IN_HEADER && i < o->headers.n; i++) {
		if (strcasecmp(o->headers.p[i].name, p->name) == 0)
			return true;
	}
	return false;
}

static bool
unused(const struct overlay *o, unsigned line, struct strbuf *problems,
    const char *what, const char *name)
{
	strbuf_addf(problems, "%s:%u: %s", o->path, line, what);
	if (name != NULL) {
		strbuf_add_char(problems, ' ');
		strbuf_add_json(problems, slice_str(name));
	}
	strbuf_add_char(problems, '\n');
	return false;
}

static bool
patterns_used(const struct overlay *o, const struct overlay_rule *rule,
    const struct overlay_patterns *patterns, const char *what,
    struct strbuf *problems)
{
	bool ok = true;

	for (size_t i = 0; patterns->p && patterns->p[i]; i++) {
		if (!patterns->used[i])
			ok = unused(o, rule->line, problems, what,
			    patterns->p[i]);
	}
	return ok;
}

static bool
rule_used(const struct overlay *o, const struct overlay_rule *rule,
    struct strbuf *problems)
{
	bool ok = rule->used;

	if (!ok)
		return unused(o, rule->line, problems,
		    "the rule matches no operation", NULL);
	ok &= patterns_used(o, rule, &rule->operations,
	    "the rule matches no operation called", problems);
	ok &= patterns_used(o, rule, &rule->tags,
	    "the rule matches no operation with the tag", problems);
	return patterns_used(o, rule, &rule->paths,
	    "the rule matches no operation with the path", problems) && ok;
}

static bool
rules_used(const struct overlay *o, const struct overlay_rules *rules,
    struct strbuf *problems)
{
	bool ok = true;

	for (size_t i = 0; i < rules->n; i++)
		ok &= rule_used(o, &rules->p[i], problems);
	return ok;
}

static bool
parameters_used(const struct overlay *o, const struct overlay_tool *t,
    struct strbuf *problems)
{
	bool ok = true;

	for (size_t i = 0; i < t->parameters.n; i++) {
		if (!t->parameters.p[i].used)
			ok = unused(o, t->parameters.p[i].line, problems,
			    "no tool has the parameter",
			    t->parameters.p[i].name);
	}
	return ok;
}

bool
overlay_all_used(const struct overlay *o, struct strbuf *problems)
{
	bool ok = true;

	ok &= rules_used(o, &o->expose, problems);
	ok &= rules_used(o, &o->hide, problems);
	for (size_t i = 0; i < o->tools.n; i++) {
		if (!o->tools.p[i].used)
			ok = unused(o, o->tools.p[i].line, problems,
			    "no exposed operation is called",
			    o->tools.p[i].operation);
		else
			ok &= parameters_used(o, &o->tools.p[i], problems);
	}
	return parameters_used(o, &o->defaults, problems) && ok;
}
