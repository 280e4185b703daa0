/*
 * The values that settings may have: one row per type of config.h.
 */
#ifndef MCP_CONFIG_VALUE_H
#define MCP_CONFIG_VALUE_H

#include "common/config.h"

struct config_value {
	size_t size;
	bool owned;   /* a char * to be freed */
	/* Sets the field, or refuses the text. */
	bool (*parse)(const struct config_option *o, const char *text,
	    void *field);
	/* Its inverse, but for what must not be shown. */
	void (*format)(const struct config_option *o, const void *field,
	    struct strbuf *to);
	/* What is allowed; completes "... is not". */
	void (*allow)(const struct config_option *o, struct strbuf *to);
};

/* By enum config_type. */
extern const struct config_value config_values[];

#endif
