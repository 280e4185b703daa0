#include "worker/runtime/tables.h"

#include <stdio.h>
#include <stdlib.h>

#include "worker/runtime/catalogue.h"

static void
print(const struct offers *o)
{
	for (const struct tool *t = o->tools; t && t->name; t++)
		printf("tool\t%s\n", t->name);
	for (const struct resource *r = o->resources; r && r->uri; r++)
		printf("resource\t%s\n", r->uri);
	for (const struct resource_template *t = o->templates;
	    t && t->uri_template; t++)
		printf("template\t%s\n", t->uri_template);
	for (const struct prompt *p = o->prompts; p && p->name; p++)
		printf("prompt\t%s\n", p->name);
}

int
tables_check(const struct api *of, const struct worker_options *options)
{
	struct policy_options decided = worker_options_policy(options);
	struct policy *policy = policy_new(&decided, NULL);
	const char *name = options->api_name ? options->api_name : of->name;
	struct catalogue *c = catalogue_new(of, name, policy);
	bool ok = c != NULL;

	if (ok)
		print(&(struct offers){ .tools = of->tools,
		    .resources = of->resources, .templates = of->templates,
		    .prompts = of->prompts });
	if (ok && !catalogue_is_set(c))
		printf("%s says what it offers when it starts\n", name);
	catalogue_free(c);
	policy_free(policy);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
