/*
 * RESP2 commands, written without allocation or format strings.
 *
 * A command is an array of bulk strings: "*<argc>\r\n", then for each argument
 * "$<bytes>\r\n<bytes>\r\n". The caller reserves resp_command_bound() bytes
 * where it wants the command and resp_command_write() fills them.
 */
#ifndef MCP_RESP_H
#define MCP_RESP_H

#include "common/compiler.h"

/* Bytes that the command surely fits into: a few more than it takes. */
size_t resp_command_bound(const struct slice *argv, size_t argc);
/* Writes the command at p and returns its end. */
char *resp_command_write(char *p, const struct slice *argv, size_t argc);

#endif
