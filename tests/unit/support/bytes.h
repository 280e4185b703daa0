/* Bytes for the tests of parsers. */
#ifndef TESTS_SUPPORT_BYTES_H
#define TESTS_SUPPORT_BYTES_H

#include "common/compiler.h"

/*
 * The bytes on the heap with not one to spare, so that a sanitizer sees a read
 * past them. The caller frees.
 */
char *exact_copy(const char *p, size_t n);

/* A slice of less than 8 KiB as text; good for the next three calls. */
const char *text(struct slice s);

#endif
