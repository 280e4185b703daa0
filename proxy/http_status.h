/* What the statuses that are sent here are called. */
#ifndef MCP_HTTP_STATUS_H
#define MCP_HTTP_STATUS_H

/* "OK", "Not Found" and so on; "Unknown" for a status without a row. */
const char *http_status_text(int status);

#endif
