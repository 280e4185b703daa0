/*
 * Numbers of JSON, exactly. cJSON has them as doubles: it rounds integers above
 * 2^53, and forgets that 1.50 had a zero. So a number that its double does not
 * give back digit by digit keeps its text beside it in the tree, as its
 * valuestring: cJSON leaves that unused for numbers, cJSON_Duplicate() copies it
 * and cJSON_Delete() frees it.
 *
 * Comparing goes by the texts, as decimals (RFC 8259, section 6).
 */
#ifndef MCP_WORKER_NUMBER_H
#define MCP_WORKER_NUMBER_H

#include <cjson/cJSON.h>

#include "common/compiler.h"
#include "common/strbuf.h"

enum number_form {
	NUMBER_AS_WRITTEN,
	/*
	 * Whole numbers as digits alone: some models write 5.0 for 5, JSON Schema
	 * takes it for an integer, and what reads paths and queries does not.
	 */
	NUMBER_WHOLE_AS_DIGITS
};

/* Gives the numbers of a tree their texts; json is what it was parsed from. */
void number_keep_all(cJSON *tree, struct slice json, enum number_form form);

/* Appends it as JSON: as it was written, or the shortest text of its double. */
void number_write(struct strbuf *sb, const cJSON *number);
/* Appends any value as JSON on one line, with its numbers so. */
void number_write_tree(struct strbuf *sb, const cJSON *value);
/* 1.0 and 1e3 are integers too. */
bool number_is_integer(const cJSON *number);
/*
 * False for what no double is near to: 1e999, and 1e-999, which is not 0; and for
 * what has more than some thousand characters. To be asked before comparing.
 */
bool number_in_range(const cJSON *number);
/* Below 0, 0 or above 0, as a is less than, equal to or greater than b. */
int number_compare(const cJSON *a, const cJSON *b);
/*
 * Is it a whole number of times the other, which is above 0? Nobody knows, and it is
 * said to be, when that has more than 18 digits (without zeros at its ends).
 */
bool number_is_multiple(const cJSON *number, const cJSON *of);

#endif
