/*
 * The TLS side of a rediss:// connection: who the server must be, and why it
 * was not believed.
 */
#ifndef MCP_REDIS_TLS_H
#define MCP_REDIS_TLS_H

#include <event2/bufferevent.h>
#include <openssl/ssl.h>

#include "common/compiler.h"

/*
 * A client session, TLS 1.2 or later, that accepts only a certificate which
 * ca_file (NULL: the system's store) vouches for and which names host: a DNS
 * name by RFC 6125, a numeric address by its iPAddress entry. ca_file is read
 * once, and again after a certificate was refused. Thread-safe.
 *
 * The caller owns the session (SSL_free, or a bufferevent that frees it). On
 * failure returns NULL and a reason in why.
 */
SSL *redis_tls_new(const char *host, const char *ca_file, char *why,
    size_t why_size) MUST_CHECK;

/*
 * Takes the errors queued on a TLS bufferevent and describes the first one, with
 * the verdict on the server's certificate where that is the cause. Returns false
 * when no TLS error is queued (the socket's errno tells why, then).
 */
bool redis_tls_error(struct bufferevent *bev, char *why,
    size_t why_size) MUST_CHECK;

#endif
