#include "tests/bench/load/session.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/xalloc.h"
#include "tests/bench/load/load.h"
#include "tests/bench/load/message.h"

/*
 * Towards one listener a source address has 28,232 ports by default, and the
 * kernel looks for a free one ever longer once half of them are taken.
 */
#define STREAMS_PER_SOURCE 10000

static void on_event(struct stream *stream, const struct sse_event *event);
static void on_broken(struct stream *stream, enum load_error why);
static void on_posted(struct post *post, enum load_error error, int status);

static const struct stream_handler stream_handler = { on_event, on_broken };

/* Sessions --------------------------------------------------------------- */

void
session_init(struct session *s, struct load *load, unsigned index)
{
	*s = (struct session){ .load = load, .index = index, .next_id = 1,
		.stream.io.fd = -1 };
}

static void
set_state(struct session *s, enum session_state state)
{
	s->load->in_state[s->state]--;
	s->load->in_state[state]++;
	s->state = state;
}

void
session_open(struct session *s)
{
	const struct load_options *o = s->load->options;

	set_state(s, SESSION_OPENING);
	if (!stream_open(&s->stream, &s->load->loop, &stream_handler,
	    &o->stream[s->index % o->streams], o->path,
	    1 + s->index / STREAMS_PER_SOURCE))
		on_broken(&s->stream, LOAD_CONNECT);
}

void
session_release(struct session *s)
{
	if (s->stream.handler != NULL)
		stream_close(&s->stream);
	free(s->endpoint);
	s->endpoint = NULL;
}

static void
unlink_call(struct lane *lane)
{
	struct session *s = lane->session;

	for (struct lane **at = &s->calls; *at != NULL; at = &(*at)->next_call) {
		if (*at != lane)
			continue;
		*at = lane->next_call;
		s->in_flight--;
		return;
	}
}

static struct lane *
find_call(struct session *s, uint64_t id)
{
	struct lane *lane = s->calls;

	while (lane != NULL && lane->id != id)
		lane = lane->next_call;
	return lane;
}

static void
report(struct session *s, enum load_error kind, struct slice detail)
{
	load_errors_add(&s->load->errors, kind, s->index, detail);
}

/* Lanes ------------------------------------------------------------------ */

void
lane_init(struct lane *lane, struct load *load)
{
	const struct load_options *o = load->options;

	*lane = (struct lane){ .load = load };
	lane->posts = xcalloc(o->posts, sizeof(*lane->posts));
	for (unsigned i = 0; i < o->posts; i++)
		post_init(&lane->posts[i], &load->loop, &o->post[i], on_posted,
		    lane);
}

void
lane_release(struct lane *lane)
{
	for (unsigned i = 0; i < lane->load->options->posts; i++)
		post_release(&lane->posts[i]);
	free(lane->posts);
}

static void
finish(struct lane *lane)
{
	lane->job = LANE_IDLE;
	load_lane_free(lane->load, lane);
}

static void
give_up(struct lane *lane)
{
	if (!lane->answered)
		unlink_call(lane);
	if (lane->counted)
		lane->load->failed++;
	if (lane->job != LANE_CALL && lane->session->state != SESSION_DEAD)
		set_state(lane->session, SESSION_DEAD);
	for (unsigned i = 0; i < lane->load->options->posts; i++) {
		if (lane->posts[i].busy)
			post_abort(&lane->posts[i]);
	}
	finish(lane);
}

void
lane_expire(struct lane *lane)
{
	report(lane->session, lane->answered ? LOAD_POST_CLOSED : LOAD_MISSING,
	    SLICE("no answer in time"));
	give_up(lane);
}

static struct post *
post_for(struct lane *lane, const struct session *s)
{
	const struct load_options *o = lane->load->options;
	unsigned target = s->index % o->streams;

	return &lane->posts[(target + (o->same_pod ? 0 : 1)) % o->posts];
}

static void
write_message(struct lane *lane, struct strbuf *out)
{
	const struct load_options *o = lane->load->options;

	switch (lane->job) {
	case LANE_IDLE:
		break;
	case LANE_INITIALIZE:
		message_initialize(out);
		break;
	case LANE_INITIALIZED:
		message_initialized(out);
		break;
	case LANE_CALL:
		message_call(out, o->tool, o->arg_name, lane->session->index,
		    lane->id, o->size);
		break;
	}
}

static uint64_t
next_id(struct session *s, enum lane_job job)
{
	return job == LANE_CALL ? s->next_id++ : MESSAGE_INITIALIZE_ID;
}

void
lane_start(struct lane *lane, struct session *s, enum lane_job job,
    uint64_t started_us)
{
	struct strbuf *body = &lane->load->body;

	lane->session = s;
	lane->job = job;
	lane->id = next_id(s, job);
	lane->started_us = started_us;
	lane->accepted = false;
	lane->answered = job == LANE_INITIALIZED;
	lane->counted = job == LANE_CALL && lane->load->measuring;
	if (!lane->answered) {
		lane->next_call = s->calls;
		s->calls = lane;
		s->in_flight++;
	}
	strbuf_reset(body);
	write_message(lane, body);
	post_send(post_for(lane, s), slice_str(s->endpoint),
	    strbuf_slice(body));
}

/* Both the 202 and the answer are there. */
static void
complete(struct lane *lane)
{
	struct session *s = lane->session;

	switch (lane->job) {
	case LANE_IDLE:
		return;
	case LANE_INITIALIZE:
		lane_start(lane, s, LANE_INITIALIZED, clock_mono_us());
		return;
	case LANE_INITIALIZED:
		set_state(s, SESSION_READY);
		break;
	case LANE_CALL:
		lane->load->verified++;
		if (lane->counted && lane->load->measuring)
			load_record(lane->load, lane);
		break;
	}
	finish(lane);
}

static void
on_posted(struct post *post, enum load_error error, int status)
{
	struct lane *lane = post->arg;

	if (lane->job == LANE_IDLE)
		return;
	if (error == LOAD_OK && (status < 200 || status > 299))
		error = LOAD_POST_STATUS;
	if (error != LOAD_OK) {
		char digits[20];

		report(lane->session, error, slice_of(digits,
		    u64_decimal(digits, (uint64_t)status)));
		give_up(lane);
		return;
	}
	lane->accepted = true;
	if (lane->answered)
		complete(lane);
}

/* What comes on a stream -------------------------------------------------- */

static void
take_endpoint(struct session *s, struct slice path)
{
	if (s->endpoint != NULL) {
		report(s, LOAD_SECOND_ENDPOINT, path);
		return;
	}
	if (path.n == 0 || path.p[0] != '/') {
		report(s, LOAD_NO_ENDPOINT, path);
		return;
	}
	s->endpoint = xstrdup_slice(path);
	set_state(s, SESSION_OPEN);
}

static enum load_error
check(const struct lane *lane, const struct message *m)
{
	if (lane->job == LANE_INITIALIZE)
		return message_check_initialize(m);
	return message_check_call(m, lane->session->index,
	    lane->load->options->size);
}

static void
take_answer(struct session *s, const struct message *m, struct slice data)
{
	struct lane *lane = find_call(s, m->id);
	enum load_error error;

	if (lane == NULL) {
		report(s, message_classify(m, s->index, s->next_id), data);
		return;
	}
	error = check(lane, m);
	if (error != LOAD_OK) {
		report(s, error, data);
		/* Another session's answer leaves ours still to come. */
		if (error != LOAD_WRONG_SESSION)
			give_up(lane);
		return;
	}
	lane->answered = true;
	lane->answered_us = clock_mono_us();
	unlink_call(lane);
	if (lane->accepted)
		complete(lane);
}

static void
on_event(struct stream *stream, const struct sse_event *event)
{
	struct session *s = container_of(stream, struct session, stream);
	struct message m;
	enum load_error error;

	if (slice_eq_str(event->name, "endpoint")) {
		take_endpoint(s, event->data);
		return;
	}
	if (!slice_eq_str(event->name, "message"))
		return;
	error = message_read(event->data, &m);
	if (error != LOAD_OK)
		report(s, error, event->data);
	else if (m.has_id && (m.result.p != NULL || m.error.p != NULL))
		take_answer(s, &m, event->data);
}

static void
on_broken(struct stream *stream, enum load_error why)
{
	struct session *s = container_of(stream, struct session, stream);

	report(s, why, slice_str(stream->to->host));
	set_state(s, SESSION_DEAD);
	while (s->calls != NULL) {
		report(s, LOAD_MISSING, SLICE("its stream broke"));
		give_up(s->calls);
	}
}
