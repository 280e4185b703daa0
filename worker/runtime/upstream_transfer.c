#include "worker/runtime/upstream_private.h"

#include <limits.h>
#include <stdlib.h>

#include <openssl/rand.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/timer.h"

/* One attempt and two more: what two do not mend is not a hiccup. */
#define ATTEMPTS_MAX 3
/* A pause lies between 0 and this times 2, 4, …: all clients spread out. */
#define RETRY_BASE_MS 100
/* A server may ask for this much patience; more is for the caller to have. */
#define RETRY_AFTER_MAX_S 2

static void
set_state(struct upstream_transfer *t, enum transfer_state state)
{
	static const char *const names[] = {
		[TRANSFER_WAITING] = "waiting",
		[TRANSFER_RUNNING] = "running",
	};

	log_debug("upstream state", LF("host", t->name),
	    LF("from", names[t->state]), LF("to", names[state]));
	t->state = state;
}

/* The end of a transfer -------------------------------------------------- */

void
upstream_transfer_free(struct upstream_transfer *t)
{
	if (t->state == TRANSFER_RUNNING)
		curl_multi_remove_handle(t->upstream->multi, t->easy);
	event_free(t->timer);
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	strbuf_release(&t->body);
	free(t->failed);
	free(t->name);
	free(t);
}

static void
finish(struct upstream_transfer *t, const struct upstream_response *response)
{
	log_debug("upstream answered", LF("host", t->name),
	    LF_N("status", response->status), LF_N("attempts", t->attempts),
	    LF("error", response->error));
	LIST_REMOVE(t, link);
	t->done(response, t->arg);
	upstream_transfer_free(t);
}

static void
finish_failed(struct upstream_transfer *t, const char *error)
{
	finish(t, &(struct upstream_response){
		      .error = error, .attempts = t->attempts, .transfer = t });
}

static void
finish_answered(struct upstream_transfer *t, int status)
{
	const char *header;
	curl_off_t after = 0;
	struct upstream_response response = {
		.status = status,
		.body = strbuf_slice(&t->body),
		.attempts = t->attempts,
		.transfer = t,
	};

	curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &after);
	header = upstream_header(&response, "Retry-After");
	/* libcurl says 0 also of what it does not understand. */
	response.retry_after_known =
	    after > 0 || (header != NULL && strcmp(header, "0") == 0);
	response.retry_after_s = after < UINT_MAX ? (unsigned)after : UINT_MAX;
	finish(t, &response);
}

void
upstream_cancel(struct upstream_transfer *t)
{
	if (t->admitted)
		breaker_gave_up(&t->host->breaker, clock_mono_ms());
	LIST_REMOVE(t, link);
	upstream_transfer_free(t);
}

/* Attempts --------------------------------------------------------------- */

static bool
is_outage(CURLcode result, long status)
{
	return result != CURLE_OK || status == 500 || status == 502 ||
	       status == 503 || status == 504;
}

/* Some may be refused, and the host still be reached at another. */
static bool
no_address(const struct upstream_transfer *t)
{
	return t->address_refused && !t->address_taken;
}

/* What libcurl says of an answer that we ourselves refused. */
static bool
is_our_doing(const struct upstream_transfer *t, CURLcode result)
{
	return no_address(t) || result == CURLE_WRITE_ERROR ||
	       result == CURLE_OUT_OF_MEMORY;
}

static void
tell_breaker(struct upstream_transfer *t, CURLcode result, long status)
{
	struct breaker *b;
	uint64_t now = clock_mono_ms();
	bool was_open;

	if (!t->admitted)
		return;
	b = &t->host->breaker;
	was_open = b->state == BREAKER_OPEN;
	t->admitted = false;
	if (is_our_doing(t, result))
		breaker_gave_up(b, now);
	else if (is_outage(result, status))
		breaker_failed(b, now);
	else
		breaker_succeeded(b);
	if (b->state == BREAKER_OPEN && !was_open)
		log_warn("upstream is left alone", LF("host", t->name),
		    LF_N("seconds", breaker_wait_s(b, now)));
}

/* A random number below n, which is small. */
static unsigned
random_below(unsigned n)
{
	uint32_t v = 0;

	if (n == 0 || RAND_bytes((unsigned char *)&v, sizeof(v)) != 1)
		return 0;
	return v % n;
}

/* Milliseconds until the next attempt; -1: there is none. */
static int64_t
retry_pause(const struct upstream_transfer *t, CURLcode result, long status)
{
	curl_off_t after = 0;
	uint64_t now = clock_mono_ms(), pause;

	if (!t->idempotent || t->attempts >= ATTEMPTS_MAX ||
	    is_our_doing(t, result) || !is_outage(result, status) ||
	    result == CURLE_PEER_FAILED_VERIFICATION)
		return -1;
	curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &after);
	if (after > RETRY_AFTER_MAX_S)
		return -1;
	pause = (uint64_t)after * MS_PER_S +
		random_below(RETRY_BASE_MS << t->attempts);
	return now + pause < t->end_ms ? (int64_t)pause : -1;
}

static const char *
failure_text(struct upstream_transfer *t, CURLcode result, struct strbuf *sb)
{
	strbuf_addf(sb, "%s: ", t->name);
	if (no_address(t))
		strbuf_add_str(sb,
		    "the name resolves to an address that is "
		    "not public and in no network of UPSTREAM_NETWORKS");
	else if (t->header_bytes > HEADERS_MAX)
		strbuf_addf(sb,
		    "the answer's headers are larger than %zu bytes",
		    HEADERS_MAX);
	else if (result == CURLE_WRITE_ERROR)
		strbuf_addf(sb,
		    "the answer is larger than %zu bytes "
		    "(UPSTREAM_MAX_BODY)",
		    t->body.max);
	else if (result == CURLE_OPERATION_TIMEDOUT)
		strbuf_add_str(sb, "no answer in time");
	else
		strbuf_add_str(sb, t->reason[0] != '\0'
				       ? t->reason
				       : curl_easy_strerror(result));
	return strbuf_str(sb);
}

void
upstream_attempt_ended(struct upstream_transfer *t, CURLcode result)
{
	struct strbuf text = STRBUF_INIT(1024);
	long status = 0;
	int64_t pause;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(t->upstream->multi, t->easy);
	set_state(t, TRANSFER_WAITING);
	tell_breaker(t, result, status);
	pause = retry_pause(t, result, status);
	if (pause >= 0)
		timer_set(t->timer, (uint64_t)pause);
	else if (result == CURLE_OK)
		finish_answered(t, (int)status);
	else
		finish_failed(t, failure_text(t, result, &text));
	strbuf_release(&text);
}

static void
begin(struct upstream_transfer *t)
{
	struct strbuf text = STRBUF_INIT(512);
	uint64_t now = clock_mono_ms();

	if (now >= t->end_ms) {
		strbuf_addf(&text, "%s: no answer in time", t->name);
		finish_failed(t, strbuf_str(&text));
	} else if (!breaker_admit(&t->host->breaker, now)) {
		strbuf_addf(&text,
		    "%s: failed repeatedly, so it is not asked "
		    "for now; try again in %u s",
		    t->name, breaker_wait_s(&t->host->breaker, now));
		finish_failed(t, strbuf_str(&text));
	} else {
		t->admitted = true;
		t->attempts++;
		t->address_refused = t->address_taken = false;
		strbuf_reset(&t->body);
		t->header_bytes = 0;
		t->reason[0] = '\0';
		curl_easy_setopt(
		    t->easy, CURLOPT_TIMEOUT_MS, (long)(t->end_ms - now));
		set_state(t, TRANSFER_RUNNING);
		if (curl_multi_add_handle(t->upstream->multi, t->easy) !=
		    CURLM_OK)
			abort();
	}
	strbuf_release(&text);
}

void
upstream_on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct upstream_transfer *t = arg;

	if (t->failed != NULL)
		finish_failed(t, t->failed);
	else
		begin(t);
}

const char *
upstream_header(const struct upstream_response *response, const char *name)
{
	struct curl_header *header;

	if (response->status == 0 ||
	    curl_easy_header(response->transfer->easy, name, 0, CURLH_HEADER,
		-1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}
