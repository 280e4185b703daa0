/*
 * From VirusTotal's answer to what a model reads: the verdict, who says so, and
 * the attributes that matter, out of some hundred kilobytes.
 */
#ifndef MCP_VIRUSTOTAL_REPORT_H
#define MCP_VIRUSTOTAL_REPORT_H

#include <cjson/cJSON.h>

#include "common/compiler.h"
#include "common/strbuf.h"
#include "worker/virustotal/subject.h"

/*
 * Reads an answer with status 200: one JSON object on one line to *json and the
 * same for reading to *text. False: it is not a report.
 */
bool report_read(const struct subject_kind *kind, struct slice body,
    struct strbuf *text, struct strbuf *json) MUST_CHECK;

/*
 * The code and message of an answer with an error, up to the maximum of these
 * buffers; empty when it has none.
 */
void report_error(
    struct slice body, struct strbuf *code, struct strbuf *message);

#endif
