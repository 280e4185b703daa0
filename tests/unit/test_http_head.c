#include "proxy/http_head.h"

#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/support/bytes.h"
#include "tests/unit/support/suite.h"

#define L8 "aaaaaaaa"
#define L64 L8 L8 L8 L8 L8 L8 L8 L8

static const struct http_limits limits = {
	.head_bytes = 4096,
	.uri_bytes = 256,
	.body_bytes = 100000,
};

/* http_head_length() on all bytes at once and one at a time, which must agree. */
static int
length_of(struct slice s, const struct http_limits *l)
{
	size_t scanned = 0;
	int whole, rc = 0;

	whole = http_head_length(s.p, s.n, &scanned, l);
	scanned = 0;
	for (size_t n = 0; n <= s.n && rc == 0; n++) {
		char *copy = exact_copy(s.p, n);

		rc = http_head_length(copy, n, &scanned, l);
		ck_assert_uint_le(scanned, n);
		free(copy);
	}
	ck_assert_int_eq(rc, whole);
	return whole;
}

/* The status that a request's head gets, from finding its end on. */
static int
judge(struct slice s, struct http_head *head)
{
	int len = length_of(s, &limits);

	/* So that what the parser forgets to set does not look unset. */
	memset(head, 0xa5, sizeof(*head));
	if (len < 0)
		return -len;
	ck_assert_uint_eq((size_t)len, s.n);
	return http_head_parse(s.p, s.n, &limits, head);
}

static void
must_parse(struct slice s, struct http_head *head)
{
	ck_assert_int_eq(judge(s, head), 0);
}

#define PARSE(head, lit) must_parse(SLICE(lit), (head))

/* What is understood -------------------------------------------------------- */

START_TEST(reads_a_request)
{
	struct http_head h;

	PARSE(&h, "POST /messages/?session_id=ab&x=1 HTTP/1.1\r\n"
		  "Host: relay.example:8080\r\n"
		  "content-type:application/json\r\n"
		  "X-Padded: \t two words \t \r\n"
		  "X-Empty:\r\n"
		  "Content-Length: 17\r\n\r\n");
	ck_assert_int_eq(h.method, HTTP_POST);
	ck_assert_str_eq(text(h.path), "/messages/");
	ck_assert_str_eq(text(h.query), "session_id=ab&x=1");
	ck_assert_uint_eq(h.minor, 1);
	ck_assert(h.keep_alive);
	ck_assert(!h.expect_continue);
	ck_assert_int_eq(h.body, HTTP_BODY_LENGTH);
	ck_assert_uint_eq(h.content_length, 17);
	ck_assert_str_eq(text(h.host), "relay.example:8080");
	ck_assert_uint_eq(h.field_count, 5);
	ck_assert_str_eq(text(h.fields[1].name), "content-type");
	ck_assert_str_eq(text(h.fields[2].value), "two words");
	ck_assert_str_eq(text(h.fields[3].value), "");
}
END_TEST

START_TEST(reads_each_method)
{
	static const struct {
		const char *name;
		enum http_method method;
	} rows[] = {
		{ "GET", HTTP_GET },
		{ "HEAD", HTTP_HEAD },
		{ "POST", HTTP_POST },
		{ "PUT", HTTP_PUT },
		{ "DELETE", HTTP_DELETE },
		{ "OPTIONS", HTTP_OPTIONS },
		{ "PATCH", HTTP_PATCH },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct http_head h;
		char buf[64];

		snprintf(buf, sizeof(buf), "%s / HTTP/1.1\r\nHost: a\r\n\r\n", rows[i].name);
		must_parse(slice_str(buf), &h);
		ck_assert_int_eq(h.method, rows[i].method);
		ck_assert_int_eq(h.body, HTTP_BODY_NONE);
		ck_assert_uint_eq(h.content_length, 0);
	}
}
END_TEST

START_TEST(splits_the_target)
{
	struct http_head h;

	PARSE(&h, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	ck_assert_str_eq(text(h.path), "/");
	ck_assert_uint_eq(h.query.n, 0);
	PARSE(&h, "GET /a? HTTP/1.1\r\nHost: a\r\n\r\n");
	ck_assert_str_eq(text(h.path), "/a");
	ck_assert_uint_eq(h.query.n, 0);
	PARSE(&h, "GET /a%2Fb?c?d=%20 HTTP/1.1\r\nHost: a\r\n\r\n");
	ck_assert_str_eq(text(h.path), "/a%2Fb");
	ck_assert_str_eq(text(h.query), "c?d=%20");
}
END_TEST

static const struct {
	const char *target, *host, *path, *query;
} absolute[] = {
	{ "http://a/sse?x", "a", "/sse", "x" },
	{ "HTTPS://A:80/", "a:80", "/", "" },
	{ "http://a", "a", "/", "" },
	{ "http://a?x=/y", "a", "/", "x=/y" },
	{ "http://[::1]:80//b", "[::1]:80", "//b", "" },
	{ "http://a/http://b/", "a", "/http://b/", "" },
	/* Two hosts, or none that could be one. */
	{ "http://a/", "b", NULL, NULL },
	{ "http://a:80/", "a", NULL, NULL },
	{ "http://u@a/", "a", NULL, NULL },
	{ "http:///a", "a", NULL, NULL },
	{ "http:/a", "a", NULL, NULL },
	{ "ftp://a/", "a", NULL, NULL },
	{ "a/", "a", NULL, NULL },
};

START_TEST(an_absolute_target_agrees_with_host)
{
	struct http_head h;
	char bytes[256];
	int n = snprintf(bytes, sizeof(bytes), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n",
	    absolute[_i].target, absolute[_i].host);

	ck_assert_int_eq(judge(slice_of(bytes, (size_t)n), &h),
	    absolute[_i].path ? 0 : 400);
	if (absolute[_i].path == NULL)
		return;
	ck_assert_str_eq(text(h.path), absolute[_i].path);
	ck_assert_str_eq(text(h.query), absolute[_i].query);
	ck_assert_str_eq(text(h.host), absolute[_i].host);
}
END_TEST

START_TEST(host_is_optional_only_in_1_0)
{
	struct http_head h;

	PARSE(&h, "GET /healthz HTTP/1.0\r\n\r\n");
	ck_assert_uint_eq(h.minor, 0);
	ck_assert_uint_eq(h.field_count, 0);
	ck_assert_uint_eq(h.host.n, 0);
	PARSE(&h, "GET /healthz HTTP/1.0\r\nHost: a\r\n\r\n");
	ck_assert_str_eq(text(h.host), "a");
}
END_TEST

static const char *const good_hosts[] = { "a", "localhost", "relay-1.svc_a.example", "EXAMPLE.com",
	"127.0.0.1", "127.0.0.1:80", "a:0", "a:65535", "[::1]", "[::1]:8080",
	"[2001:DB8::ffff:192.0.2.1]:443", "[::]" };
static const char *const bad_hosts[] = { "", "a b", "a,b", "a/b", "a@b", "user@a:80", "a?b", "a#b",
	"a\\b", "a%41", "a\"", "a;b", "a=b", "<a>", "a:", ":80", ":", "a:65536", "a:000080", "a:8x",
	"a:-1", "a:+1", "a:80:80", "[", "[]", "[:", "[:]", "[::1", "::1", "[::1]x",
	"[::1]:", "[::g]", "[fe80::1%25lo]", "a[::1]", "[::1]]", "[::1x", "[::g:80", "\xc3\xa9" };

START_TEST(takes_a_good_host)
{
	struct http_head h;
	char buf[128];

	snprintf(buf, sizeof(buf), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", good_hosts[_i]);
	must_parse(slice_str(buf), &h);
	ck_assert_str_eq(text(h.host), good_hosts[_i]);
}
END_TEST

START_TEST(refuses_a_bad_host)
{
	struct http_head h;
	char buf[128];

	snprintf(buf, sizeof(buf), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", bad_hosts[_i]);
	ck_assert_msg(judge(slice_str(buf), &h) == 400, "Host: %s", bad_hosts[_i]);
}
END_TEST

static const struct {
	const char *line; /* version and Connection fields */
	bool keep_alive;
} persistence[] = {
	{ "1.1\r\n", true },
	{ "1.0\r\n", false },
	{ "1.1\r\nConnection: close\r\n", false },
	{ "1.1\r\nconnection: CLOSE\r\n", false },
	{ "1.0\r\nConnection: keep-alive\r\n", true },
	{ "1.0\r\nConnection: Keep-Alive\r\n", true },
	{ "1.1\r\nConnection: keep-alive, close\r\n", false },
	{ "1.0\r\nConnection: close,keep-alive\r\n", false },
	{ "1.1\r\nConnection: close\r\nConnection: keep-alive\r\n", false },
	{ "1.0\r\nConnection: keep-alive\r\nConnection: close\r\n", false },
	{ "1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", true },
	{ "1.0\r\nConnection: Upgrade\t,\tkeep-alive\r\n", true },
	{ "1.1\r\nConnection: \r\n", true },
	{ "1.1\r\nConnection: , ,close,\r\n", false },
	{ "1.1\r\nConnection: closed\r\n", true },
	{ "1.1\r\nProxy-Connection: close\r\n", true },
};

START_TEST(knows_who_wants_to_go_on)
{
	struct http_head h;
	char buf[256];

	snprintf(buf, sizeof(buf), "GET / HTTP/%sHost: a\r\n\r\n", persistence[_i].line);
	must_parse(slice_str(buf), &h);
	ck_assert_msg(h.keep_alive == persistence[_i].keep_alive, "%s", persistence[_i].line);
}
END_TEST

START_TEST(knows_the_body)
{
	struct http_head h;

	PARSE(&h, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	ck_assert_int_eq(h.body, HTTP_BODY_CHUNKED);
	PARSE(&h, "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:CHUNKed \r\n\r\n");
	ck_assert_int_eq(h.body, HTTP_BODY_CHUNKED);
	PARSE(&h, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
	ck_assert_int_eq(h.body, HTTP_BODY_LENGTH);
	ck_assert_uint_eq(h.content_length, 0);
	PARSE(&h, "POST / HTTP/1.0\r\nContent-Length: 100000\r\n\r\n");
	ck_assert_uint_eq(h.content_length, 100000);
	PARSE(&h, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
	ck_assert_uint_eq(h.content_length, 5);
	PARSE(&h, "DELETE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	ck_assert_int_eq(h.body, HTTP_BODY_CHUNKED);
	PARSE(&h, "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
	ck_assert_uint_eq(h.content_length, 0);
}
END_TEST

static const struct {
	const char *text; /* version and fields */
	bool waits;
} expectations[] = {
	{ "1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n", true },
	{ "1.1\r\nContent-Length: 1\r\nexpect: 100-Continue\r\n", true },
	{ "1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n", true },
	{ "1.1\r\nExpect: 100-continue\r\nContent-Length: 0\r\n", false },
	{ "1.1\r\nExpect: 100-continue\r\n", false },
	{ "1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n", false },
	{ "1.1\r\nContent-Length: 1\r\n", false },
};

START_TEST(knows_who_waits_for_100)
{
	struct http_head h;
	char buf[256];

	snprintf(buf, sizeof(buf), "POST / HTTP/%sHost: a\r\n\r\n", expectations[_i].text);
	must_parse(slice_str(buf), &h);
	ck_assert_msg(h.expect_continue == expectations[_i].waits, "%s", expectations[_i].text);
}
END_TEST

START_TEST(finds_fields_by_name)
{
	struct http_head h;

	PARSE(&h, "GET / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-two: 2\r\nX-TWO: 3\r\n\r\n");
	ck_assert_str_eq(text(http_head_field(&h, "x-one")), "1");
	ck_assert_str_eq(text(http_head_field(&h, "X-Two")), "2");
	ck_assert_ptr_null(http_head_field(&h, "X-On").p);
	ck_assert_ptr_null(http_head_field(&h, "X-Onee").p);
	ck_assert_uint_eq(http_head_field_count(&h, "x-one"), 1);
	ck_assert_uint_eq(http_head_field_count(&h, "x-two"), 2);
	ck_assert_uint_eq(http_head_field_count(&h, "x-three"), 0);
}
END_TEST

/* '@' and '`', '[' and '{' are 0x20 apart as 'A' and 'a' are, and no letters. */
START_TEST(only_letters_have_case)
{
	struct http_head h;

	PARSE(&h, "GET / HTTP/1.1\r\nHost: a\r\nx^: 1\r\nx|: 2\r\nAZ: 3\r\n\r\n");
	ck_assert_uint_eq(http_head_field_count(&h, "az"), 1);
	ck_assert_uint_eq(http_head_field_count(&h, "x~"), 0);
	ck_assert_uint_eq(http_head_field_count(&h, "x^"), 1);
	ck_assert_uint_eq(http_head_field_count(&h, "x\\"), 0);
}
END_TEST

/* What is refused ----------------------------------------------------------- */

#define HOST "Host: a\r\n"
#define GET_1_1 "GET / HTTP/1.1\r\n"
#define POST_1_1 "POST / HTTP/1.1\r\n" HOST

static const struct {
	int status;
	struct slice head;
} refused[] = {
#define ROW(status, lit) \
	{ \
		status, \
		{ \
			"" lit, sizeof(lit) - 1 \
		} \
	}
	/* Lines and control characters. */
	ROW(400, "\r\n" GET_1_1 HOST "\r\n"),
	ROW(400, "\n" GET_1_1 HOST "\r\n"),
	ROW(400, "GET / HTTP/1.1\nHost: a\n\n"),
	ROW(400, GET_1_1 "Host: a\n\r\n"),
	ROW(400, GET_1_1 HOST "\n"),
	ROW(400, GET_1_1 HOST "X: a\rb\r\n\r\n"),
	ROW(400, GET_1_1 HOST "X: a\r\r\n\r\n"),
	ROW(400, GET_1_1 HOST "\r\r\n"),
	ROW(400, "GET /\rHTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, GET_1_1 HOST "X: a\0b\r\n\r\n"),
	ROW(400, GET_1_1 HOST "X\0: a\r\n\r\n"),
	ROW(400, "GET /\0 HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "\0" GET_1_1 HOST "\r\n"),
	ROW(400, GET_1_1 HOST "X: a\x0b\r\n\r\n"),
	ROW(400, GET_1_1 HOST "X: a\x7f\r\n\r\n"),
	ROW(400, "\x16\x03\x01\x02"),
	/* Request line. */
	ROW(400, "GET\t/ HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET  / HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET /  HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET / HTTP/1.1 \r\n" HOST "\r\n"),
	ROW(400, " GET / HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET /\r\n" HOST "\r\n"),
	ROW(400, "GET / \r\n" HOST "\r\n"),
	ROW(400, "GET\r\n" HOST "\r\n"),
	ROW(400, "GET \r\n" HOST "\r\n"),
	ROW(400, "GET HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, " / HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "G(T / HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "G\xc3\x8bT / HTTP/1.1\r\n" HOST "\r\n"),
	ROW(501, "get / HTTP/1.1\r\n" HOST "\r\n"),
	ROW(501, "GETT / HTTP/1.1\r\n" HOST "\r\n"),
	ROW(501, "TRACE / HTTP/1.1\r\n" HOST "\r\n"),
	ROW(501, "M!#$%&'*+-.^_`|~9 / HTTP/1.1\r\n" HOST "\r\n"),
	ROW(501, "CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n"),
	/* Target. */
	ROW(400, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET * HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET http://b/ HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET http://a/ HTTP/1.0\r\n\r\n"),
	ROW(400, "GET a:80 HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET ?a HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET sse HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET /a#b HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET /a b HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET /a\tb HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET /a\\b HTTP/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"),
	ROW(414, "GET /" L64 L64 L64 L64 " HTTP/1.1\r\n" HOST "\r\n"),
	/* Version. */
	ROW(505, "GET / HTTP/2.0\r\n" HOST "\r\n"),
	ROW(505, "GET / HTTP/1.2\r\n" HOST "\r\n"),
	ROW(505, "GET / HTTP/0.9\r\n" HOST "\r\n"),
	ROW(505, "PRI * HTTP/2.0\r\n\r\n"),
	ROW(400, "GET / HTTP/1\r\n" HOST "\r\n"),
	ROW(400, "GET / HTTP/1.\r\n" HOST "\r\n"),
	ROW(400, "GET / HTTP/.1\r\n" HOST "\r\n"),
	ROW(400, "GET / HTTP/1.10\r\n" HOST "\r\n"),
	ROW(400, "GET / HTTP/11.1\r\n" HOST "\r\n"),
	ROW(400, "GET / HTTP/01.1\r\n" HOST "\r\n"),
	ROW(400, "GET / HTTP/1,1\r\n" HOST "\r\n"),
	ROW(400, "GET / HTTP/a.b\r\n" HOST "\r\n"),
	ROW(400, "GET / HTTP/+1.1\r\n" HOST "\r\n"),
	ROW(400, "GET / http/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET / HTTPS/1.1\r\n" HOST "\r\n"),
	ROW(400, "GET / HTTP/2.0 x\r\n" HOST "\r\n"),
	/* Field lines. */
	ROW(400, GET_1_1 HOST "X: a\r\n b\r\n\r\n"),
	ROW(400, GET_1_1 HOST "X: a\r\n\tb\r\n\r\n"),
	ROW(400, GET_1_1 " " HOST "\r\n"),
	ROW(400, GET_1_1 HOST "X: a\r\n \r\n\r\n"),
	ROW(400, GET_1_1 HOST "X : a\r\n\r\n"),
	ROW(400, GET_1_1 HOST "X\t: a\r\n\r\n"),
	ROW(400, GET_1_1 HOST "X Y: a\r\n\r\n"),
	ROW(400, GET_1_1 HOST ": a\r\n\r\n"),
	ROW(400, GET_1_1 HOST ":\r\n\r\n"),
	ROW(400, GET_1_1 HOST "X\r\n\r\n"),
	ROW(400, GET_1_1 HOST "X(): a\r\n\r\n"),
	ROW(400, GET_1_1 HOST "X\xc3\xa9: a\r\n\r\n"),
	/* Host. */
	ROW(400, GET_1_1 "\r\n"),
	ROW(400, GET_1_1 "X-Host: a\r\n\r\n"),
	ROW(400, GET_1_1 "Host : a\r\n\r\n"),
	ROW(400, GET_1_1 HOST HOST "\r\n"),
	ROW(400, GET_1_1 HOST "hOST: b\r\n\r\n"),
	ROW(400, "GET / HTTP/1.0\r\n" HOST HOST "\r\n"),
	/* Content-Length. */
	ROW(400, POST_1_1 "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 5\r\ncontent-length: 5\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 5, 5\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 5,6\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 5 5\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length : 5\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: +5\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: -0\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: -5\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 0x5\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 05\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 00\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 5.0\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 5e1\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 5;\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: \"5\"\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length:\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: five\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 5\xa0\r\n\r\n"),
	ROW(413, POST_1_1 "Content-Length: 100001\r\n\r\n"),
	ROW(413, POST_1_1 "Content-Length: 9223372036854775807\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 9223372036854775808\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 18446744073709551615\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 18446744073709551621\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 99999999999999999999999999\r\n\r\n"),
	/* Transfer-Encoding. */
	ROW(400, POST_1_1 "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"),
	ROW(400, POST_1_1 "Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\n"),
	ROW(400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
	ROW(400, "POST / HTTP/1.0\r\nTransfer-Encoding: identity\r\n\r\n"),
	ROW(400, POST_1_1 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
	ROW(400, POST_1_1 "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"),
	ROW(400, POST_1_1 "Transfer-Encoding: chunked, chunked\r\n\r\n"),
	ROW(400, POST_1_1 "Transfer-Encoding: chunked, gzip\r\n\r\n"),
	ROW(400, POST_1_1 "Transfer-Encoding: chunked, identity\r\n\r\n"),
	ROW(400, POST_1_1 "Transfer-Encoding: ,chunked\r\n\r\n"),
	ROW(400, POST_1_1 "Transfer-Encoding: chunked,\r\n\r\n"),
	ROW(400, POST_1_1 "Transfer-Encoding: chunked;q=1\r\n\r\n"),
	ROW(400, POST_1_1 "Transfer-Encoding: \"chunked\"\r\n\r\n"),
	ROW(400, POST_1_1 "Transfer-Encoding: chunked chunked\r\n\r\n"),
	ROW(400, POST_1_1 "Transfer-Encoding:\r\n\r\n"),
	ROW(400, POST_1_1 "Transfer-Encoding: \013chunked\r\n\r\n"),
	ROW(400, POST_1_1 "Transfer-Encoding : chunked\r\n\r\n"),
	ROW(400, POST_1_1 "Transfer-Encoding: chunked\xa0\r\n\r\n"),
	ROW(501, POST_1_1 "Transfer-Encoding: identity\r\n\r\n"),
	ROW(501, POST_1_1 "Transfer-Encoding: xchunked\r\n\r\n"),
	ROW(501, POST_1_1 "Transfer-Encoding: chunkedx\r\n\r\n"),
	ROW(501, POST_1_1 "Transfer-Encoding: gzip\r\n\r\n"),
	ROW(501, POST_1_1 "Transfer-Encoding: gzip, chunked\r\n\r\n"),
	ROW(501, POST_1_1 "Transfer-Encoding: gzip,chunked\r\n\r\n"),
	/* A body where none can be. */
	ROW(400, "HEAD / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n"),
	ROW(400, "HEAD / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"),
	/* Connection and Expect. */
	ROW(400, GET_1_1 HOST "Connection: keep alive\r\n\r\n"),
	ROW(400, GET_1_1 HOST "Connection: \"close\"\r\n\r\n"),
	ROW(417, POST_1_1 "Content-Length: 1\r\nExpect: 200-ok\r\n\r\n"),
	ROW(417, POST_1_1 "Content-Length: 1\r\nExpect:\r\n\r\n"),
	ROW(417, POST_1_1 "Content-Length: 1\r\nExpect: 100-continue, x\r\n\r\n"),
	ROW(417, POST_1_1 "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n"),
	/* What is ambiguous comes before what is merely not served. */
	ROW(400, POST_1_1 "Expect: x\r\nContent-Length: 999999\r\nContent-Length: 1\r\n\r\n"),
	ROW(501, POST_1_1 "Expect: x\r\nTransfer-Encoding: gzip\r\n\r\n"),
	ROW(417, POST_1_1 "Expect: x\r\nContent-Length: 999999\r\n\r\n"),
#undef ROW
};

START_TEST(refuses)
{
	struct http_head h;
	int status = judge(refused[_i].head, &h);

	ck_assert_msg(status == refused[_i].status, "%d instead of %d for <%s>", status,
	    refused[_i].status, text(refused[_i].head));
}
END_TEST

/* The parser alone refuses them too, whoever looked for the end of the head. */
START_TEST(refuses_without_the_scan)
{
	struct http_head h;
	char *copy = exact_copy(refused[_i].head.p, refused[_i].head.n);

	ck_assert_int_ne(http_head_parse(copy, refused[_i].head.n, &limits, &h), 0);
	free(copy);
}
END_TEST

/* Every byte in every place, against the lists of RFC 9110 and RFC 3986. */
#define ALNUM "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool
among(int byte, const char *list)
{
	return byte != 0 && strchr(list, byte) != NULL;
}

static bool
in_token(int byte)
{
	return among(byte, ALNUM "!#$%&'*+-.^_`|~");
}

static bool
in_target(int byte)
{
	return among(byte, ALNUM "-._~:/?[]@!$&'()*+,;=%^`{|}");
}

static bool
in_value(int byte)
{
	return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

static bool
in_host(int byte)
{
	return among(byte, ALNUM "-._");
}

static bool
in_ipv6(int byte)
{
	return among(byte, "0123456789abcdefABCDEF:.");
}

static const struct {
	const char *place;
	const char *before, *after;
	bool (*allowed)(int byte);
	int accepted, otherwise;
} places[] = {
	{ "method", "GE", "T / HTTP/1.1\r\nHost: a\r\n\r\n", in_token, 501, 400 },
	{ "target", "GET /a", "b HTTP/1.1\r\nHost: a\r\n\r\n", in_target, 0, 400 },
	{ "name", GET_1_1 HOST "x", "y: z\r\n\r\n", in_token, 0, 400 },
	{ "value", GET_1_1 HOST "x: y", "z\r\n\r\n", in_value, 0, 400 },
	{ "host", GET_1_1 "Host: a", "a\r\n\r\n", in_host, 0, 400 },
	{ "IPv6", GET_1_1 "Host: [:", "1]\r\n\r\n", in_ipv6, 0, 400 },
};

START_TEST(knows_each_byte_in_its_place)
{
	for (int byte = 0; byte < 256; byte++) {
		bool allowed = places[_i].allowed(byte);
		struct http_head h;
		char buf[128];
		int n, status;

		n = snprintf(buf, sizeof(buf), "%s%c%s", places[_i].before, byte, places[_i].after);
		/* A colon within a name ends it, well-formed. */
		if (strcmp(places[_i].place, "name") == 0 && byte == ':')
			continue;
		status = judge(slice_of(buf, (size_t)n), &h);
		ck_assert_msg(status == (allowed ? places[_i].accepted : places[_i].otherwise),
		    "%d for byte %#x in a %s", status, (unsigned)byte, places[_i].place);
	}
}
END_TEST

/* No single byte changed, left out or doubled may crash or read past the end. */
START_TEST(survives_any_changed_byte)
{
	static const char good[] = "POST /m?a=b HTTP/1.1\r\nHost: [::1]:80\r\n"
				   "Transfer-Encoding: chunked\r\nConnection: close, x\r\n"
				   "Expect: 100-continue\r\n\r\n";
	struct http_head h;
	unsigned accepted = 0;

	for (size_t at = 0; at < sizeof(good) - 1; at++) {
		for (int byte = 0; byte < 256; byte++) {
			char *copy = exact_copy(good, sizeof(good) - 1);

			copy[at] = (char)byte;
			accepted += http_head_parse(copy, sizeof(good) - 1, &limits, &h) == 0;
			free(copy);
		}
	}
	ck_assert_uint_ge(accepted, sizeof(good) - 1);
	ck_assert_uint_lt(accepted, 128 * sizeof(good));
}
END_TEST

START_TEST(refuses_any_head_cut_short)
{
	static const char good[] = POST_1_1 "Content-Length: 5\r\n\r\n";
	struct http_head h;

	for (size_t n = 0; n < sizeof(good) - 1; n++) {
		char *copy = exact_copy(good, n);

		ck_assert_int_eq(http_head_parse(copy, n, &limits, &h), 400);
		free(copy);
	}
	ck_assert_int_eq(http_head_parse(good, sizeof(good) - 1, &limits, &h), 0);
	/* Nor may anything stand behind it. */
	ck_assert_int_eq(http_head_parse(good, sizeof(good), &limits, &h), 400);
}
END_TEST

/* Limits -------------------------------------------------------------------- */

START_TEST(finds_the_first_of_pipelined_heads)
{
	static const char two[] = GET_1_1 HOST "\r\n" GET_1_1 HOST "\r\n";

	ck_assert_int_eq(length_of(slice_str(two), &limits), (int)(sizeof(two) - 1) / 2);
	/* What comes after the head is not the head's business. */
	ck_assert_int_eq(length_of(SLICE(GET_1_1 "\r\n\n\0\r"), &limits), 18);
}
END_TEST

START_TEST(waits_for_the_end)
{
	static const char head[] = GET_1_1 HOST "\r\n";

	for (size_t n = 0; n < sizeof(head) - 1; n++)
		ck_assert_int_eq(length_of(slice_of(head, n), &limits), 0);
	ck_assert_int_eq(length_of(slice_str(head), &limits), (int)sizeof(head) - 1);
}
END_TEST

/* The reader of a slow client must not begin again with every byte. */
START_TEST(does_not_scan_twice)
{
	char head[] = GET_1_1 HOST "X: y\r\n\r\n";
	size_t n = sizeof(head) - 1, scanned = 0;

	ck_assert_int_eq(http_head_length(head, n - 4, &scanned, &limits), 0);
	ck_assert_uint_ge(scanned, n - 5);
	/* A control character behind the mark goes unseen: it was seen before. */
	head[2] = '\x01';
	ck_assert_int_eq(http_head_length(head, n, &scanned, &limits), (int)n);
}
END_TEST

static void
put(char *at, struct slice s)
{
	memcpy(at, s.p, s.n);
}

/* n bytes of a head: a request line, then one field as long as it takes. */
static struct slice
head_of(size_t n)
{
	static char buf[8192];

	ck_assert_uint_le(n, sizeof(buf));
	memset(buf, 'a', sizeof(buf));
	put(buf, SLICE(GET_1_1 HOST "X: "));
	put(buf + n - 4, SLICE("\r\n\r\n"));
	return slice_of(buf, n);
}

START_TEST(limits_the_head)
{
	struct http_head h;
	struct slice s = head_of(limits.head_bytes);

	ck_assert_int_eq(length_of(s, &limits), (int)s.n);
	ck_assert_int_eq(http_head_parse(s.p, s.n, &limits, &h), 0);
	/* One byte more never fits, and that is known at the limit. */
	s = head_of(limits.head_bytes + 1);
	ck_assert_int_eq(length_of(s, &limits), -431);
	ck_assert_int_eq(http_head_parse(s.p, s.n, &limits, &h), 431);
	ck_assert_int_eq(length_of(slice_of(s.p, limits.head_bytes), &limits), -431);
	ck_assert_int_eq(length_of(slice_of(s.p, limits.head_bytes - 1), &limits), 0);
	s = head_of(8192);
	ck_assert_int_eq(length_of(s, &limits), -431);
}
END_TEST

START_TEST(limits_the_request_line)
{
	char line[1024];
	size_t max = limits.uri_bytes + 64; /* REQUEST_LINE_SLACK */
	struct http_limits tight = limits;

	memset(line, 'a', sizeof(line));
	put(line, SLICE("GET /"));
	ck_assert_int_eq(length_of(slice_of(line, max - 1), &limits), 0);
	ck_assert_int_eq(length_of(slice_of(line, max), &limits), -414);
	ck_assert_int_eq(length_of(slice_of(line, sizeof(line)), &limits), -414);
	/* A line that ends just in time is the parser's to judge. */
	put(line + max - 2, SLICE("\r\n"));
	ck_assert_int_eq(length_of(slice_of(line, max), &limits), 0);
	/* With its LF past the limit it is too long. */
	memset(line + max - 2, 'a', 2);
	put(line + max - 1, SLICE("\r\n"));
	ck_assert_int_eq(length_of(slice_of(line, max + 1), &limits), -414);
	/* What is malformed before the limit is malformed. */
	line[10] = '\x01';
	ck_assert_int_eq(length_of(slice_of(line, max + 1), &limits), -400);
	/* Where the head's limit is the smaller one, it decides. */
	line[10] = 'a';
	tight.head_bytes = 100;
	ck_assert_int_eq(length_of(slice_of(line, 99), &tight), 0);
	ck_assert_int_eq(length_of(slice_of(line, 100), &tight), -431);
}
END_TEST

START_TEST(limits_the_target)
{
	struct http_head h;
	char buf[512];
	int fits = (int)limits.uri_bytes - 1, n;

	n = snprintf(buf, sizeof(buf), "OPTIONS /%0*d HTTP/1.1\r\n" HOST "\r\n", fits, 7);
	must_parse(slice_of(buf, (size_t)n), &h);
	ck_assert_uint_eq(h.path.n, limits.uri_bytes);
	n = snprintf(buf, sizeof(buf), "OPTIONS /%0*d HTTP/1.1\r\n" HOST "\r\n", fits + 1, 7);
	ck_assert_int_eq(judge(slice_of(buf, (size_t)n), &h), 414);
}
END_TEST

START_TEST(limits_the_fields)
{
	struct http_head h;
	char buf[2048];
	size_t n;

	n = (size_t)snprintf(buf, sizeof(buf), GET_1_1 HOST);
	for (int i = 1; i < HTTP_FIELDS_MAX; i++)
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "X-%d: %d\r\n", i, i);
	snprintf(buf + n, sizeof(buf) - n, "\r\n");
	must_parse(slice_of(buf, n + 2), &h);
	ck_assert_uint_eq(h.field_count, HTTP_FIELDS_MAX);
	ck_assert_str_eq(text(http_head_field(&h, "x-63")), "63");
	snprintf(buf + n, sizeof(buf) - n, "Y: 64\r\n\r\n");
	ck_assert_int_eq(judge(slice_of(buf, n + 9), &h), 431);
}
END_TEST

START_TEST(takes_limits_of_any_size)
{
	static const struct http_limits none = { SIZE_MAX, SIZE_MAX, SIZE_MAX };
	struct http_head h;
	struct slice s = SLICE(POST_1_1 "Content-Length: 9223372036854775807\r\n\r\n");

	ck_assert_int_eq(length_of(s, &none), (int)s.n);
	ck_assert_int_eq(http_head_parse(s.p, s.n, &none, &h), 0);
	ck_assert_uint_eq(h.content_length, INT64_MAX);
}
END_TEST

static TCase *
head_case(void)
{
	TCase *tc = new_case("head", NULL, NULL);

	tcase_add_test(tc, reads_a_request);
	tcase_add_test(tc, reads_each_method);
	tcase_add_test(tc, splits_the_target);
	tcase_add_loop_test(tc, an_absolute_target_agrees_with_host, 0,
	    ARRAY_LEN(absolute));
	tcase_add_test(tc, host_is_optional_only_in_1_0);
	tcase_add_loop_test(tc, takes_a_good_host, 0, ARRAY_LEN(good_hosts));
	tcase_add_loop_test(tc, refuses_a_bad_host, 0, ARRAY_LEN(bad_hosts));
	tcase_add_loop_test(tc, knows_who_wants_to_go_on, 0, ARRAY_LEN(persistence));
	tcase_add_test(tc, knows_the_body);
	tcase_add_loop_test(tc, knows_who_waits_for_100, 0, ARRAY_LEN(expectations));
	tcase_add_test(tc, finds_fields_by_name);
	tcase_add_test(tc, only_letters_have_case);
	tcase_add_loop_test(tc, refuses, 0, ARRAY_LEN(refused));
	tcase_add_loop_test(tc, refuses_without_the_scan, 0, ARRAY_LEN(refused));
	tcase_add_loop_test(tc, knows_each_byte_in_its_place, 0, ARRAY_LEN(places));
	tcase_add_test(tc, survives_any_changed_byte);
	tcase_add_test(tc, refuses_any_head_cut_short);
	return tc;
}

static TCase *
limits_case(void)
{
	TCase *tc = new_case("limits", NULL, NULL);

	tcase_add_test(tc, finds_the_first_of_pipelined_heads);
	tcase_add_test(tc, waits_for_the_end);
	tcase_add_test(tc, does_not_scan_twice);
	tcase_add_test(tc, limits_the_head);
	tcase_add_test(tc, limits_the_request_line);
	tcase_add_test(tc, limits_the_target);
	tcase_add_test(tc, limits_the_fields);
	tcase_add_test(tc, takes_limits_of_any_size);
	return tc;
}

int
main(void)
{
	return run_cases(head_case(), limits_case());
}
