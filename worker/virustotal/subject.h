/*
 * What VirusTotal is asked about: an argument, checked and spelt as a path of
 * its API (https://docs.virustotal.com/reference).
 */
#ifndef MCP_VIRUSTOTAL_SUBJECT_H
#define MCP_VIRUSTOTAL_SUBJECT_H

#include "common/compiler.h"
#include "common/strbuf.h"

struct subject_kind {
	const char *argument;   /* of the tool */
	const char *collection; /* path below /api/v3/ */
	const char *page;       /* path below /gui/, for people */
	const char *form;       /* what an argument must be, for messages */
	/* Appends the id of text to *id; false: it is not of that form. */
	bool (*read)(const char *text, struct strbuf *id);
	/* Attributes that a report passes on, NULL-ended. */
	const char *const *details;
};

extern const struct subject_kind subject_ip_address;
extern const struct subject_kind subject_domain;
extern const struct subject_kind subject_file;
extern const struct subject_kind subject_url;

#endif
