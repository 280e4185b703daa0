#include "proxy/options.h"

#include <errno.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/db.h"
#include "common/xalloc.h"
#include "proxy/forward.h"
#include "proxy/tokens.h"

#define FIELD(name) CONFIG_FIELD(struct options, name)
#define UINT(env, field, fallback, lo, hi, text) \
	{ env, CONFIG_UINT, FIELD(field), fallback, lo, hi, NULL, text }
#define BYTES(env, field, fallback, lo, hi, text) \
	{ env, CONFIG_BYTES, FIELD(field), fallback, lo, hi, NULL, text }

#define KIB 1024u
#define MIB (1024u * KIB)
#define SECRET_MIN 16
#define SECRET_MAX 256
#define URL_MAX 512

static const struct config_option proxy_options[] = {
	{ "MCP_SERVER_HOST", CONFIG_STRING, FIELD(host), "0.0.0.0", 0, 0, NULL,
	    "address to listen on: an IPv4 or IPv6 address" },
	UINT("MCP_SERVER_PORT", port, "9100", 1, 65535, "TCP port to listen on"),
	UINT("PROXY_THREADS", threads, "1", 1, 64,
	    "event loops, each a thread with its own inbox. One per core"),
	UINT("HTTP_HEADER_TIMEOUT", header_timeout_s, "10", 1, 3600,
	    "seconds that a request's head may take in all"),
	UINT("HTTP_BODY_TIMEOUT", body_timeout_s, "30", 1, 3600,
	    "seconds that a request's body may take in all"),
	UINT("HTTP_IDLE_TIMEOUT", idle_timeout_s, "75", 1, 86400,
	    "seconds that a connection may wait between requests. Keep it above "
	    "the load balancer's idle timeout (ALB: 60), or it answers 502"),
	UINT("HTTP_MAX_CONNECTIONS", max_connections, "0", 0, 10000000,
	    "open connections per process, 0 for what the limit of open files "
	    "allows. At the limit accepting pauses"),
	BYTES("HTTP_MAX_HEADER", max_header, "16k", 1 * KIB, 256 * KIB,
	    "bytes of a request line with its fields"),
	BYTES("HTTP_MAX_URI", max_uri, "2k", 64, 64 * KIB,
	    "bytes of a request target"),
	BYTES("HTTP_MAX_BODY", max_body, "1m", 1 * KIB, 16 * MIB,
	    "bytes of a request body"),
	UINT("SSE_PING_INTERVAL", ping_interval_s, "15", 1, 3600,
	    "seconds between comments that keep a stream alive"),
	UINT("SSE_RETRY_MS", retry_ms, "3000", 100, 60000,
	    "milliseconds after which clients reconnect (the retry field)"),
	UINT("SSE_STUCK_TIMEOUT", stuck_timeout_s, "30", 1, 3600,
	    "seconds without a byte taken after which a client is dropped"),
	BYTES("SSE_MAX_BUFFER", max_buffer, "64k", 4 * KIB, 1 * MIB,
	    "unsent bytes of a stream from which on events wait in Redis"),
	UINT("SESSION_TTL", session_ttl_s, "3600", 60, 604800,
	    "seconds that a session's records outlive its last refresh"),
	UINT("SESSION_UNUSED_TTL", session_unused_s, "60", 1, 3600,
	    "seconds after which a stream is closed on which nobody ever posted"),
	UINT("SESSION_REUSE_WINDOW", session_reuse_s, "300", 1, 86400,
	    "seconds that a session whose stream broke waits for its client"),
	UINT("SESSION_RECOVERY_MAX", session_recovery_max, "3", 0, 1000000,
	    "times that a session may be reattached within "
	    "SESSION_REUSE_WINDOW; streams that the server ended do not count"),
	UINT("REDIS_WAIT_TIMEOUT", redis_wait_s, "5", 1, 60,
	    "seconds that a POST waits for Redis before it is answered 503"),
	UINT("REDIS_LOST_TIMEOUT", redis_lost_s, "30", 1, 3600,
	    "seconds without Redis after which streams are closed"),
	UINT("LIST_PAGE_SIZE", list_page_size, "500", 1, 10000,
	    "tools per page of tools/list"),
	UINT("CALL_TIMEOUT", call_timeout_s, "60", 1, 86400,
	    "seconds that a call may take in all, from its queueing to its answer"),
	UINT("QUEUE_MAX", queue_max, "10000", 1, 10000000,
	    "calls queued and running per API; above it calls are refused"),
	UINT("DRAIN_DELAY", drain_delay_s, "5", 0, 3600,
	    "seconds that a stopping proxy is not ready but goes on serving: "
	    "what a load balancer needs to notice"),
	UINT("DRAIN_TIMEOUT", drain_timeout_s, "25", 1, 3600,
	    "seconds after that in which streams end; calls that are not "
	    "answered by then get an error"),
	UINT("STREAM_MAX_AGE", stream_max_age_s, "0", 0, 604800,
	    "seconds after which a stream is ended once it is idle, so that its "
	    "client reconnects to any pod. 0: never"),
	UINT("TRUSTED_HOPS", trusted_hops, "0", 0, 16,
	    "proxies in front that append to X-Forwarded-For: the client's "
	    "address is that many entries from its right. 1 behind an ALB, 0 "
	    "when clients connect directly"),
	UINT("USER_RATE", user_rate, "0", 0, 1000000,
	    "messages (POSTs) a second that one user may send, over all proxies; "
	    "more are answered 429. 0: no limit"),
	UINT("USER_BURST", user_burst, "0", 0, 10000000,
	    "messages that one user may send at once; 0: twice USER_RATE"),
	UINT("IP_RATE", ip_rate, "0", 0, 1000000,
	    "POSTs and new streams a second from one client address, over all "
	    "proxies; more are answered 429. 0: no limit. Behind a load balancer "
	    "it needs TRUSTED_HOPS"),
	UINT("IP_BURST", ip_burst, "0", 0, 10000000,
	    "requests from one address at once; 0: twice IP_RATE"),
	UINT("USER_MAX_STREAMS", user_max_streams, "0", 0, 1000000,
	    "open streams of one user, over all proxies. 0: no limit"),
	UINT("USER_MAX_SESSIONS", user_max_sessions, "0", 0, 1000000,
	    "sessions of one user, with a stream or waiting for their client. "
	    "0: no limit"),
	UINT("USER_MAX_CALLS", user_max_calls, "0", 0, 1000,
	    "calls of one user that one API has queued or running. 0: no limit"),
	{ "USER_HASH_SECRET", CONFIG_SECRET, FIELD(user_hash_secret), NULL, 0, 0,
	    NULL, "key of user hashes, 16 to 256 bytes, the same for all proxies; "
	    "without it the first proxy makes one and keeps it in Redis" },
	{ "AUTH_ANONYMOUS", CONFIG_BOOL, FIELD(anonymous), "true", 0, 0,
	    NULL, "serve requests without a token or key, as users told apart by "
	    "address and User-Agent. false: 401" },
	{ "ANONYMOUS_SCOPES", CONFIG_STRING, FIELD(anonymous_scopes), "*", 0, 0,
	    NULL, "what they may do: words such as calculator, calculator:add, * "
	    "for everything, none for nothing" },
	{ "JWT_SECRET_KEY", CONFIG_SECRET, FIELD(jwt_secret_key), NULL, 0, 0,
	    NULL, "secret of HS256 tokens, at least 32 bytes" },
	{ "JWT_PUBLIC_KEY", CONFIG_STRING, FIELD(jwt_public_key), NULL, 0, 0,
	    NULL, "public key of RS256 to ES512 tokens: a PEM text or its file" },
	{ "JWT_JWKS", CONFIG_STRING, FIELD(jwt_jwks), NULL, 0, 0,
	    NULL, "JWK set with the public keys of tokens: a file, http:// or "
	    "https://" },
	{ "JWT_JWKS_CA", CONFIG_STRING, FIELD(jwt_jwks_ca), NULL, 0, 0, NULL,
	    "file of CA certificates (PEM) for JWT_JWKS at https://; without it "
	    "the system's" },
	{ "JWT_ISSUER", CONFIG_STRING, FIELD(jwt_issuer), NULL, 0, 0,
	    NULL, "what a token's iss must be; without it any" },
	{ "JWT_AUDIENCE", CONFIG_STRING, FIELD(jwt_audience), NULL, 0, 0,
	    NULL, "words of which a token's aud must hold one; without it any" },
	{ "JWT_DEFAULT_SCOPES", CONFIG_STRING, FIELD(jwt_default_scopes), "*", 0, 0,
	    NULL, "what a token may do that has no scope claim; none for nothing" },
	{ "DATABASE_URL", CONFIG_URL, FIELD(database_url), NULL, 0, 0, NULL,
	    "PostgreSQL that keeps the API keys: "
	    "postgresql://user:password@host[:port]/database; without it they "
	    "are in Redis" },
	UINT("API_KEY_OUTAGE", api_key_outage_s, "300", 20, 86400,
	    "seconds for which an API key that was good is believed while their "
	    "store does not answer"),
	{ "PUBLIC_URL", CONFIG_STRING, FIELD(public_url), NULL, 0, 0,
	    NULL, "URL of this server as clients know it, before /sse; without it "
	    "what a request's Host says" },
	{ "AUTHORIZATION_SERVERS", CONFIG_STRING, FIELD(authorization_servers), NULL, 0, 0,
	    NULL, "URLs of the authorization servers named in the resource "
	    "metadata; without it JWT_ISSUER if that is a URL" },
	{ "ALLOWED_ORIGINS", CONFIG_STRING, FIELD(allowed_origins), NULL, 0, 0,
	    NULL, "origins that web pages may call from, such as "
	    "https://app.example.com or http://localhost:*; without it any" },
	{ "ALLOWED_HOSTS", CONFIG_STRING, FIELD(allowed_hosts), NULL, 0, 0,
	    NULL, "names that clients may call this server by (the Host field), "
	    "such as mcp.example.com; without it any" },
	{ "FORWARD_HEADERS", CONFIG_STRING, FIELD(forward_headers), NULL, 0, 0,
	    NULL, "headers of a client's call that its worker gets to see, with "
	    "commas between: never credentials for this server" },
	{ .env = NULL },
};

const struct config_option *const option_tables[] = {
	common_option_table, proxy_options, NULL
};

bool
proxy_options_address(const struct options *o, struct sockaddr_storage *addr,
    socklen_t *len)
{
	char text[256];
	int size = sizeof(*addr);

	snprintf(text, sizeof(text), strchr(o->host, ':') ? "[%s]:%u" : "%s:%u",
	    o->host, o->port);
	if (evutil_parse_sockaddr_port(text, (struct sockaddr *)addr, &size) < 0)
		return false;
	*len = (socklen_t)size;
	return true;
}

static bool
secret_ok(const char *secret, struct strbuf *errors)
{
	size_t n = secret != NULL ? strlen(secret) : SECRET_MIN;

	if (n >= SECRET_MIN && n <= SECRET_MAX)
		return true;
	strbuf_addf(errors, "USER_HASH_SECRET: has %zu bytes; %d to %d are "
	    "allowed\n", n, SECRET_MIN, SECRET_MAX);
	return false;
}

static bool
jwt_secret_ok(const char *secret, struct strbuf *errors)
{
	struct jwt_keys *keys = jwt_keys_new();
	const char *reason = NULL;
	bool ok = secret == NULL ||
	    jwt_keys_add_secret(keys, slice_str(secret), &reason);

	if (!ok)
		strbuf_addf(errors, "JWT_SECRET_KEY: %s\n", reason);
	jwt_keys_free(keys);
	return ok;
}

static bool
jwt_public_ok(const char *text_or_path, struct strbuf *errors)
{
	struct jwt_keys *keys;
	const char *reason = NULL;
	char *pem;
	bool ok;

	if (text_or_path == NULL)
		return true;
	keys = jwt_keys_new();
	pem = tokens_read_pem(text_or_path, &reason);
	ok = pem != NULL && jwt_keys_add_pem(keys, slice_str(pem), &reason);
	if (!ok) {
		strbuf_add_str(errors, "JWT_PUBLIC_KEY: ");
		strbuf_add_json(errors, slice_str(text_or_path));
		strbuf_addf(errors, " %s\n", reason);
	}
	free(pem);
	jwt_keys_free(keys);
	return ok;
}

static bool
is_url(const char *text)
{
	return strncmp(text, "https://", 8) == 0 ||
	    strncmp(text, "http://", 7) == 0;
}

/* What is not a URL is a file, which must be there; a URL may come later. */
static bool
jwks_ok(const char *source, struct strbuf *errors)
{
	if (source == NULL || is_url(source) ||
	    access(source, R_OK) == 0)
		return true;
	strbuf_addf(errors, "JWT_JWKS: \"%s\" is neither a URL nor a readable "
	    "file: %s\n", source, strerror(errno));
	return false;
}

static bool
jwks_ca_ok(const char *path, struct strbuf *errors)
{
	if (path == NULL || access(path, R_OK) == 0)
		return true;
	strbuf_addf(errors, "JWT_JWKS_CA: \"%s\" is not a readable file: %s\n",
	    path, strerror(errno));
	return false;
}

/* It is repeated in header fields: no blanks, no quotes. */
static bool
public_url_ok(const char *url, struct strbuf *errors)
{
	if (url == NULL || (is_url(url) && strlen(url) <= URL_MAX &&
	    strcspn(url, " \t\r\n\"<>\\?#") == strlen(url)))
		return true;
	strbuf_addf(errors, "PUBLIC_URL: \"%s\" is not http[s]://host[/path] of "
	    "up to %d characters\n", url, URL_MAX);
	return false;
}

static bool
has_scheme(const char *word)
{
	return strstr(word, "://") != NULL || strcmp(word, "*") == 0 ||
	    strcmp(word, "null") == 0;
}

static bool
is_host(const char *word)
{
	return strchr(word, '/') == NULL;
}

/* What a browser, or a client, would never send matches nothing: a mistake. */
static const struct {
	const char *env;
	size_t offset;
	bool (*ok)(const char *word);
	const char *allowed;
} lists[] = {
	{ "AUTHORIZATION_SERVERS", FIELD(authorization_servers), is_url,
	    "an http:// or https:// URL" },
	{ "ALLOWED_ORIGINS", FIELD(allowed_origins), has_scheme,
	    "an origin such as https://app.example.com" },
	{ "ALLOWED_HOSTS", FIELD(allowed_hosts), is_host,
	    "a name such as mcp.example.com" },
};

static bool
list_ok(size_t i, const char *list, struct strbuf *errors)
{
	char *words = xstrdup(list), *rest = NULL;
	bool ok = true;

	for (char *word = strtok_r(words, " ,", &rest); word != NULL;
	    word = strtok_r(NULL, " ,", &rest)) {
		if (lists[i].ok(word))
			continue;
		strbuf_addf(errors, "%s: \"%s\" is not %s\n", lists[i].env,
		    word, lists[i].allowed);
		ok = false;
	}
	free(words);
	return ok;
}

static bool
lists_ok(const struct options *o, struct strbuf *errors)
{
	bool ok = true;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const char *list = *(const char *const *)(const void *)
		    ((const char *)o + lists[i].offset);

		ok &= list == NULL || list_ok(i, list, errors);
	}
	return ok;
}

static void
complete(struct options *o)
{
	if (o->authorization_servers == NULL && o->jwt_issuer != NULL &&
	    is_url(o->jwt_issuer))
		o->authorization_servers = xstrdup(o->jwt_issuer);
}

bool
proxy_options_check(void *config, struct strbuf *errors)
{
	struct options *o = config;
	struct sockaddr_storage addr;
	socklen_t len;
	bool ok = options_check(&o->common, errors);

	ok &= secret_ok(o->user_hash_secret, errors);
	ok &= jwt_secret_ok(o->jwt_secret_key, errors);
	ok &= jwt_public_ok(o->jwt_public_key, errors);
	ok &= jwks_ok(o->jwt_jwks, errors);
	ok &= jwks_ca_ok(o->jwt_jwks_ca, errors);
	ok &= db_check_url(o->database_url, errors);
	ok &= public_url_ok(o->public_url, errors);
	ok &= lists_ok(o, errors);
	ok &= forward_list_ok(o->forward_headers, errors);
	complete(o);
	if (proxy_options_address(o, &addr, &len))
		return ok;
	strbuf_addf(errors,
	    "MCP_SERVER_HOST: \"%s\" is not an IPv4 or IPv6 address\n", o->host);
	return false;
}
