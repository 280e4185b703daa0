/* Programs beside a test. */
#ifndef TESTS_SUPPORT_SPAWN_H
#define TESTS_SUPPORT_SPAWN_H

#include <sys/types.h>

/*
 * Starts a program, found on PATH, that dies with this process whatever becomes of
 * it; its output goes nowhere. The caller ends and awaits it. argv ends with NULL.
 */
pid_t spawn(const char *const *argv);

#endif
