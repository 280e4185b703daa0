/* TLS: whom to believe, and that all goes on as without it. */
#include <check.h>
#include <signal.h>
#include <stdio.h>

#include "tests/unit/support/redis_link.h"
#include "tests/unit/support/wait.h"
#include "tests/unit/support/words.h"

#define NEW_KEY "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
#define SIGNED "openssl req -x509 -CA ca.crt -CAkey ca.key " NEW_KEY

static void
make_certificates(void)
{
	shell("openssl req -x509 " NEW_KEY "-keyout ca.key -out ca.crt "
	    "-subj '/CN=test CA' -days 2");
	shell("openssl req -x509 " NEW_KEY "-keyout other.key -out other.crt "
	    "-subj '/CN=other CA' -days 2");
	shell(SIGNED "-keyout server.key -out server.crt -subj /CN=redis "
	    "-days 2 -addext basicConstraints=critical,CA:FALSE "
	    "-addext subjectAltName=DNS:redis.test,IP:127.0.0.1");
	shell("openssl req " NEW_KEY "-keyout expired.key -out expired.csr "
	    "-subj /CN=redis.test && openssl x509 -req -in expired.csr "
	    "-CA ca.crt -CAkey ca.key -days -1 -out expired.crt");
}

static const struct redis_script add_script = {
	"add", "return redis.call('INCRBY', KEYS[1], ARGV[1])"
};

/* With a certificate and its key by their files' common name. */
static void
run_tls_server(const char *name)
{
	static char crt[64], key[64], ca[64];
	const char *const args[] = { "--tls-cert-file", crt, "--tls-key-file",
		key, "--tls-ca-cert-file", ca, "--tls-auth-clients", "no", NULL };

	snprintf(crt, sizeof(crt), "%s/%s.crt", temp_dir, name);
	snprintf(key, sizeof(key), "%s/%s.key", temp_dir, name);
	snprintf(ca, sizeof(ca), "%s/ca.crt", temp_dir);
	peer_run(true, args);
}

/* ca is a file in the temporary directory; NULL: the system's store. */
static void
tls_link_init(struct link *c, const char *url_format, const char *ca)
{
	static char path[64];

	link_init(c, url_format);
	if (ca == NULL)
		return;
	snprintf(path, sizeof(path), "%s/%s", temp_dir, ca);
	c->opt.tls_ca_file = path;
}

static const struct {
	const char *url, *ca;
	const char *reason;   /* NULL: it connects */
} tls_cases[] = {
	{ "rediss://redis.test:%u", "ca.crt", NULL },
	{ "rediss://127.0.0.1:%u", "ca.crt", NULL },
	{ "rediss://other.test:%u", "ca.crt",
	    "TLS certificate refused: hostname mismatch" },
	{ "rediss://127.0.0.2:%u", "ca.crt",
	    "TLS certificate refused: IP address mismatch" },
	{ "rediss://redis.test:%u", "other.crt",
	    "TLS certificate refused: self-signed certificate in" },
	{ "rediss://redis.test:%u", NULL,
	    "TLS certificate refused: self-signed certificate in" },
	{ "rediss://redis.test:%u", "missing.crt",
	    "missing.crt: No such file or directory" },
	{ "rediss://redis.test:%u", "ca.key", "ca.key" },
};

START_TEST(tls_believes_only_the_right_certificate)
{
	const char *reason = tls_cases[_i].reason;
	struct link c;

	run_tls_server("server");
	tls_link_init(&c, tls_cases[_i].url, tls_cases[_i].ca);
	link_open(&c);
	if (reason == NULL) {
		WAIT(redis_is_ready(c.r));
		ck_assert_str_eq(ASK(&c, "ECHO", "secret"), "secret");
	} else {
		WAIT(logged(reason));
		ck_assert_uint_eq(c.ready, 0);
	}
	link_free(&c);
}
END_TEST

START_TEST(tls_refuses_an_expired_certificate)
{
	struct link c;

	run_tls_server("expired");
	tls_link_init(&c, "rediss://redis.test:%u", "ca.crt");
	link_open(&c);
	WAIT(logged("TLS certificate refused: certificate has expired"));
	ck_assert_uint_eq(c.ready, 0);
	link_free(&c);
}
END_TEST

/* The file is replaced while connections are being refused. */
START_TEST(tls_takes_up_a_rotated_authority)
{
	struct link c;

	shell("cp other.crt rotated.crt");
	run_tls_server("server");
	tls_link_init(&c, "rediss://redis.test:%u", "rotated.crt");
	link_open(&c);
	WAIT(logged("TLS certificate refused"));
	shell("cp ca.crt rotated.crt");
	WAIT(redis_is_ready(c.r));
	link_free(&c);
}
END_TEST

START_TEST(tls_carries_large_binary_values)
{
	struct link c;

	run_tls_server("server");
	tls_link_init(&c, "rediss://redis.test:%u", "ca.crt");
	link_open(&c);
	WAIT(redis_is_ready(c.r));
	check_large_values(&c);
	link_free(&c);
}
END_TEST

START_TEST(tls_to_a_server_without_it_fails)
{
	struct link c;

	RUN_PEER(PLAIN);
	link_init(&c, "rediss://127.0.0.1:%u");
	c.opt.connect_timeout_ms = 200;
	link_open(&c);
	WAIT(logged("connect timeout (TCP or TLS)"));
	ck_assert_uint_eq(c.ready, 0);
	link_free(&c);
}
END_TEST

START_TEST(tls_survives_a_restart)
{
	struct link c;
	struct loss l = { .script = &add_script };

	run_tls_server("server");
	tls_link_init(&c, "rediss://redis.test:%u", "ca.crt");
	link_open(&c);
	WAIT(redis_is_ready(c.r));
	kill(peer.pid, SIGSTOP);
	for (unsigned i = 0; i < 20; i++)
		ck_assert(redis_send_words(c.r, note_loss, &l, "PING"));
	event_base_loop(base, EVLOOP_NONBLOCK);
	peer_stop(&peer);
	WAIT(l.tally.nulls == 20);
	WAIT(logged("reason=\"Connection refused\""));
	peer_start(&peer);
	WAIT(redis_is_ready(c.r));
	ck_assert_str_eq(ASK(&c, "ECHO", "back"), "back");
	ck_assert_uint_eq(l.tally.nulls, 20);
	link_free(&c);
}
END_TEST

START_TEST(tls_pipelined_answers_come_in_order)
{
	struct link c;

	run_tls_server("server");
	tls_link_init(&c, "rediss://redis.test:%u", "ca.crt");
	link_open(&c);
	WAIT(redis_is_ready(c.r));
	check_order(&c);
	link_free(&c);
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_add_loop_test(tc, tls_believes_only_the_right_certificate, 0,
	    (int)ARRAY_LEN(tls_cases));
	tcase_add_test(tc, tls_refuses_an_expired_certificate);
	tcase_add_test(tc, tls_takes_up_a_rotated_authority);
	tcase_add_test(tc, tls_carries_large_binary_values);
	tcase_add_test(tc, tls_to_a_server_without_it_fails);
	tcase_add_test(tc, tls_survives_a_restart);
	tcase_add_test(tc, tls_pipelined_answers_come_in_order);
}

int
main(void)
{
	return run_link_cases("redis_tls", make_certificates, add_tests);
}
