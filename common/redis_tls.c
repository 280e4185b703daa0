#include "common/redis_tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/bufferevent_ssl.h>

#include "common/xalloc.h"

/* OpenSSL wraps what the system calls under it said (no such file, reset). */
static const char *
reason_of(unsigned long code)
{
	const char *reason;

	if (ERR_SYSTEM_ERROR(code))
		return strerror(ERR_GET_REASON(code));
	reason = ERR_reason_error_string(code);
	return reason != NULL ? reason : "unknown error";
}

/* Describes the first of the thread's queued errors and clears them. */
static void
take_errors(char *why, size_t size, const char *what)
{
	snprintf(why, size, "%s: %s", what, reason_of(ERR_peek_error()));
	ERR_clear_error();
}

static bool
load_authorities(SSL_CTX *ctx, const char *ca_file)
{
	if (ca_file != NULL)
		return SSL_CTX_load_verify_locations(ctx, ca_file, NULL) == 1;
	return SSL_CTX_set_default_verify_paths(ctx) == 1;
}

/*
 * A reply says itself where it ends, so a connection cut without close_notify
 * cannot pass for a shorter one: it is an ordinary end of file here.
 */
#define OPTIONS \
	(SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | \
	    SSL_OP_IGNORE_UNEXPECTED_EOF)

static SSL_CTX *
context_new(const char *ca_file)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_options(ctx, OPTIONS);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	/* An evbuffer may move its bytes between two attempts to write them. */
	SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	    load_authorities(ctx, ca_file))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/*
 * Reading a whole system store takes 20 ms and 2 MB: all connections of a process
 * share one context. It is read anew after a certificate was refused, so that a
 * rotated CA is taken up.
 */
static struct {
	pthread_mutex_t lock;
	char *ca_file;
	SSL_CTX *ctx;
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
shared_clear(void)
{
	SSL_CTX_free(shared.ctx);
	shared.ctx = NULL;
	free(shared.ca_file);
	shared.ca_file = NULL;
}

/* A session in the shared context, which lives as long as one needs it. */
static SSL *
shared_session(const char *ca_file)
{
	SSL *ssl = NULL;

	pthread_mutex_lock(&shared.lock);
	if (shared.ctx != NULL &&
	    !slice_eq(slice_str(shared.ca_file), slice_str(ca_file)))
		shared_clear();
	if (shared.ctx == NULL) {
		shared.ctx = context_new(ca_file);
		shared.ca_file = ca_file != NULL ? xstrdup(ca_file) : NULL;
	}
	if (shared.ctx != NULL)
		ssl = SSL_new(shared.ctx);
	else
		shared_clear();
	pthread_mutex_unlock(&shared.lock);
	return ssl;
}

static void
shared_forget(void)
{
	pthread_mutex_lock(&shared.lock);
	shared_clear();
	pthread_mutex_unlock(&shared.lock);
}

static bool
is_numeric(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, address) == 1 ||
	    inet_pton(AF_INET6, host, address) == 1;
}

/* RFC 6066: the server name indication never holds a numeric address. */
static bool
expect_host(SSL *ssl, const char *host)
{
	if (is_numeric(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl),
		    host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 &&
	    SSL_set_tlsext_host_name(ssl, host) == 1;
}

SSL *
redis_tls_new(const char *host, const char *ca_file, char *why,
    size_t why_size)
{
	SSL *ssl;

	ERR_clear_error();
	ssl = shared_session(ca_file);
	if (ssl == NULL) {
		take_errors(why, why_size, ca_file ? ca_file : "TLS");
		return NULL;
	}
	if (expect_host(ssl, host))
		return ssl;
	take_errors(why, why_size, "TLS host name");
	SSL_free(ssl);
	return NULL;
}

/*
 * libevent queues SSL_get_error()'s verdict (1, 5) among the real codes, which
 * always name a library.
 */
static unsigned long
first_error(struct bufferevent *bev)
{
	unsigned long first = 0;
	unsigned long code;

	while ((code = bufferevent_get_openssl_error(bev)) != 0) {
		if (first == 0 && ERR_GET_LIB(code) != 0)
			first = code;
	}
	return first;
}

bool
redis_tls_error(struct bufferevent *bev, char *why, size_t why_size)
{
	unsigned long code = first_error(bev);
	long verdict;

	if (code == 0)
		return false;
	verdict = SSL_get_verify_result(bufferevent_openssl_get_ssl(bev));
	if (verdict == X509_V_OK) {
		snprintf(why, why_size, "TLS: %s", reason_of(code));
		return true;
	}
	snprintf(why, why_size, "TLS certificate refused: %s",
	    X509_verify_cert_error_string(verdict));
	shared_forget();
	return true;
}
