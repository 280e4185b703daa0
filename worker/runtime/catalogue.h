/*
 * An API's catalogue: its tools, resources, templates and prompts with their
 * compiled schemas, and the JSON that proxies answer lists from.
 */
#ifndef MCP_WORKER_CATALOGUE_H
#define MCP_WORKER_CATALOGUE_H

#include "common/ident.h"
#include "common/uri_template.h"
#include "worker/runtime/policy.h"
#include "worker/json/schema.h"
#include "worker/runtime/tool.h"

struct catalogue;

/*
 * Checks the API's definition and compiles it; name is what the operator calls
 * it, policy (may be NULL) what he has decided about its tools. NULL after
 * logging what is wrong with which tool. All are borrowed.
 */
struct catalogue *catalogue_new(const struct api *api, const char *name,
    const struct policy *policy) MUST_CHECK;
void catalogue_free(struct catalogue *c);

/*
 * Offers these instead, see worker_env_set_offers(). False and what is wrong with
 * which of them: nothing has changed.
 */
bool catalogue_set(struct catalogue *c, const struct offers *offers,
    struct strbuf *error) MUST_CHECK;
/* See worker_env_set_instructions(). */
void catalogue_set_instructions(struct catalogue *c, const char *text);
/* Until the first offers are there, the rest is empty. */
bool catalogue_is_set(const struct catalogue *c);

enum offer_kind {
	OFFER_TOOL,
	OFFER_RESOURCE,
	OFFER_TEMPLATE,
	OFFER_PROMPT
};
#define OFFER_KINDS (OFFER_PROMPT + 1)

struct catalogue_offer {
	enum offer_kind kind;
	/* The tool, or what stands in for it: its name is the key. */
	struct tool tool;
	const void *item;        /* the row of the API's table */
	void (*complete)(struct call *call, const cJSON *args);
	const char *mime_type;
	struct schema *input;    /* NULL: not for us to check, like the next */
	struct schema *output;
	struct listing *listing; /* it is of */
};

/* By bare name, URI or template; NULL: there is none. */
const struct catalogue_offer *catalogue_find(const struct catalogue *c,
    enum offer_kind kind, struct slice key);
/* The first template that the URI comes from, with its variables. */
const struct catalogue_offer *catalogue_match(const struct catalogue *c,
    struct slice uri, struct uri_variable variables[static URI_VARIABLES_MAX],
    size_t *count);

/*
 * Keeps what the offer's item points to, the offer itself included, until it is
 * let go (NULL: nothing is): see offers.release.
 */
struct listing *catalogue_hold(const struct catalogue_offer *offer) MUST_CHECK;
void catalogue_let_go(struct listing *l);

/* The API's name as the operator wants it, its version and title. */
const char *catalogue_name(const struct catalogue *c);
const char *catalogue_version(const struct catalogue *c);
const char *catalogue_title(const struct catalogue *c);
/* As listing_write() writes it. */
struct slice catalogue_json(const struct catalogue *c);
/* SHA-256 of that JSON in hex; changes when the tools do. */
const char *catalogue_digest(const struct catalogue *c);

#endif
