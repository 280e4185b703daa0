#include "worker/runtime/policy.h"

#include <stdlib.h>

#include <uthash.h>

#include "common/envelope.h"
#include "common/log.h"
#include "common/xalloc.h"

/* Larger numbers of calls or seconds are typing errors. */
#define NUMBER_MAX 1000000

enum safety {
	SAFETY_AS_PROMISED,
	SAFETY_SAFE,
	SAFETY_UNSAFE
};

/* What is decided about one tool. */
struct rule {
	UT_hash_handle hh;
	enum safety safety;
	unsigned max_running;    /* 0: nothing decided, like timeout_s */
	unsigned timeout_s;
	const char *env;         /* the last setting that names it */
	char name[];
};

struct policy {
	struct rule *by_name;    /* uthash */
};

/* Reading ------------------------------------------------------------------- */

/* How an item of a setting changes its tool's rule; false: not understood. */
typedef bool rule_fn(struct rule *rule, uint64_t number);

static bool
set_safe(struct rule *rule, uint64_t number UNUSED)
{
	rule->safety = SAFETY_SAFE;
	return true;
}

static bool
set_unsafe(struct rule *rule, uint64_t number UNUSED)
{
	/* Named in both: the careful reading counts, so it comes last. */
	rule->safety = SAFETY_UNSAFE;
	return true;
}

static bool
set_max_running(struct rule *rule, uint64_t number)
{
	rule->max_running = (unsigned)number;
	return number > 0 && number <= NUMBER_MAX;
}

static bool
set_timeout(struct rule *rule, uint64_t number)
{
	rule->timeout_s = (unsigned)number;
	return number > 0 && number <= NUMBER_MAX;
}

static const struct {
	const char *env;
	size_t offset;           /* of the text in struct policy_options */
	bool numbered;           /* "name=number" */
	rule_fn *set;
} settings[] = {
	{ "SAFE_TOOLS", offsetof(struct policy_options, safe_tools), false,
	    set_safe },
	{ "UNSAFE_TOOLS", offsetof(struct policy_options, unsafe_tools), false,
	    set_unsafe },
	{ "TOOL_CONCURRENCY", offsetof(struct policy_options, concurrency),
	    true, set_max_running },
	{ "TOOL_TIMEOUTS", offsetof(struct policy_options, timeouts), true,
	    set_timeout },
};

static struct rule *
rule_for(struct policy *p, struct slice name)
{
	struct rule *rule;

	HASH_FIND(hh, p->by_name, name.p, name.n, rule);
	if (rule != NULL)
		return rule;
	rule = xcalloc(1, sizeof(*rule) + name.n + 1);
	memcpy(rule->name, name.p, name.n);
	HASH_ADD_KEYPTR(hh, p->by_name, rule->name, name.n, rule);
	return rule;
}

/* Takes what comes before the mark off the front of *rest. */
static struct slice
take(struct slice *rest, char mark)
{
	const char *at = rest->n > 0 ? memchr(rest->p, mark, rest->n) : NULL;
	struct slice taken = *rest;

	if (at != NULL)
		taken.n = (size_t)(at - rest->p);
	*rest = slice_of(taken.p + taken.n, rest->n - taken.n);
	if (at != NULL)
		*rest = slice_of(rest->p + 1, rest->n - 1);
	return slice_trim(taken);
}

static bool
read_item(struct policy *p, size_t setting, struct slice item)
{
	struct slice rest = item;
	struct slice name = take(&rest, '=');
	uint64_t number = 0;
	struct rule *rule;

	if (name.n == 0 || settings[setting].numbered != (item.n > name.n))
		return false;
	if (settings[setting].numbered && !env_number(slice_trim(rest), &number))
		return false;
	rule = rule_for(p, name);
	rule->env = settings[setting].env;
	return settings[setting].set(rule, number);
}

static bool
read_setting(struct policy *p, size_t setting, const char *text,
    struct strbuf *errors)
{
	struct slice rest = slice_str(text);
	bool ok = true;

	while (rest.n > 0) {
		struct slice item = take(&rest, ',');

		if (item.n == 0 || read_item(p, setting, item))
			continue;
		strbuf_addf(errors, "%s: \"%.*s\" is not %s\n",
		    settings[setting].env, SLICE_ARG(item),
		    settings[setting].numbered ? "<tool>=<number from 1 on>" :
		    "the name of a tool");
		ok = false;
	}
	return ok;
}

struct policy *
policy_new(const struct policy_options *options, struct strbuf *errors)
{
	struct policy *p = xcalloc(1, sizeof(*p));
	bool ok = true;

	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		const char *text = *(const char *const *)(const void *)
		    ((const char *)options + settings[i].offset);

		ok &= read_setting(p, i, text, errors);
	}
	if (ok)
		return p;
	policy_free(p);
	return NULL;
}

void
policy_free(struct policy *p)
{
	struct rule *rule, *next;

	if (p == NULL)
		return;
	rule = p->by_name;
	HASH_CLEAR(hh, p->by_name);
	for (; rule != NULL; rule = next) {
		next = rule->hh.next;
		free(rule);
	}
	free(p);
}

/* Asking ----------------------------------------------------------------------- */

static const struct rule *
find(const struct policy *p, const struct tool *tool)
{
	struct rule *rule = NULL;

	if (p != NULL && p->by_name != NULL)
		HASH_FIND_STR(p->by_name, tool->name, rule);
	return rule;
}

bool
policy_overrides_safe(const struct policy *p, const struct tool *tool)
{
	const struct rule *rule = find(p, tool);

	return rule != NULL && rule->safety != SAFETY_AS_PROMISED;
}

bool
policy_safe(const struct policy *p, const struct tool *tool)
{
	const struct rule *rule = find(p, tool);

	if (rule != NULL && rule->safety != SAFETY_AS_PROMISED)
		return rule->safety == SAFETY_SAFE;
	return (tool->promises & (TOOL_READ_ONLY | TOOL_IDEMPOTENT)) != 0;
}

unsigned
policy_max_running(const struct policy *p, const struct tool *tool)
{
	const struct rule *rule = find(p, tool);

	return rule != NULL && rule->max_running > 0 ? rule->max_running :
	    tool->max_running;
}

unsigned
policy_timeout_ms(const struct policy *p, const struct tool *tool)
{
	const struct rule *rule = find(p, tool);

	return rule != NULL && rule->timeout_s > 0 ? rule->timeout_s * 1000 :
	    tool->timeout_ms;
}

static bool
has_tool(const struct tool *tools, const char *name)
{
	for (; tools != NULL && tools->name != NULL; tools++) {
		if (strcmp(tools->name, name) == 0)
			return true;
	}
	return false;
}

void
policy_warn_unknown(const struct policy *p, const struct tool *tools)
{
	const struct rule *rule = p != NULL ? p->by_name : NULL;

	for (; rule != NULL; rule = rule->hh.next) {
		if (!has_tool(tools, rule->name))
			log_warn("setting names no tool of this API",
			    LF("setting", rule->env), LF("tool", rule->name));
	}
}
