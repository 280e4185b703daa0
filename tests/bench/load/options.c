#include "tests/bench/load/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/load/message.h"

enum option_type {
	OPT_TEXT,
	OPT_COUNT,
	OPT_COUNT64,
	OPT_NUMBER,
	OPT_FLAG,
	OPT_STREAM,
	OPT_POST,
	OPT_PID
};

struct option_row {
	const char *name;
	enum option_type type;
	size_t offset;
	const char *help;
};

#define FIELD(f) offsetof(struct load_options, f)

static const struct option_row rows[] = {
	{ "stream", OPT_STREAM, 0, "URL whose streams are opened; repeatable" },
	{ "post", OPT_POST, 0,
	    "URL that POSTs go to; repeatable (default: the streams')" },
	{ "same-pod", OPT_FLAG, FIELD(same_pod),
	    "POST to the target of the same place, not to the next one" },
	{ "path", OPT_TEXT, FIELD(path), "path of the stream (/sse)" },
	{ "sessions", OPT_COUNT, FIELD(sessions),
	    "sessions to open (as many as --concurrency)" },
	{ "concurrency", OPT_COUNT, FIELD(concurrency), "calls in flight (64)" },
	{ "calls", OPT_COUNT64, FIELD(calls), "stop after that many calls" },
	{ "seconds", OPT_NUMBER, FIELD(seconds), "or after that time (5)" },
	{ "warmup", OPT_NUMBER, FIELD(warmup_s),
	    "seconds of the same load before counting (1)" },
	{ "rate", OPT_NUMBER, FIELD(rate),
	    "calls per second, sent whether or not answers come" },
	{ "tool", OPT_TEXT, FIELD(tool), "tool to call (echo)" },
	{ "arg-name", OPT_TEXT, FIELD(arg_name),
	    "name of its text argument (text)" },
	{ "size", OPT_COUNT, FIELD(size), "bytes of that text (64)" },
	{ "idle", OPT_NUMBER, FIELD(idle_s),
	    "no calls: hold initialized sessions for that many seconds" },
	{ "opens", OPT_FLAG, FIELD(opens),
	    "no calls: open the sessions and stop" },
	{ "open-window", OPT_COUNT, FIELD(open_window),
	    "streams being opened at the same time (128)" },
	{ "timeout", OPT_NUMBER, FIELD(timeout_s),
	    "seconds that an answer may take (30)" },
	{ "pid", OPT_PID, 0,
	    "NAME=PID of a process to measure; repeatable" },
};

NORETURN static void
usage(const char *wrong)
{
	if (wrong != NULL)
		fprintf(stderr, "loadgen: %s\n", wrong);
	fprintf(stderr, "usage: loadgen --stream URL [options]\n");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		fprintf(stderr, "  --%-12s %s\n", rows[i].name, rows[i].help);
	exit(2);
}

static double
parse_number(const char *text)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end != '\0' || !(v >= 0 && v <= 1e12))
		usage("a number is wrong");
	return v;
}

static uint64_t
parse_count(const char *text, uint64_t max)
{
	double v = parse_number(text);

	if (v > (double)max || v != (double)(uint64_t)v)
		usage("a count is wrong");
	return (uint64_t)v;
}

static void
add_target(struct net_addr *list, unsigned *count, const char *text)
{
	if (*count == TARGETS_MAX || !net_addr_parse(text, &list[*count]))
		usage("a URL is wrong (http://127.0.0.1:PORT), or one too many");
	(*count)++;
}

static void
add_pid(struct load_options *o, char *text)
{
	char *eq = strchr(text, '=');

	if (eq == NULL || o->pids == PIDS_MAX)
		usage("--pid takes NAME=PID, 16 times at most");
	*eq = '\0';
	o->pid[o->pids++] = (struct load_pid){ text,
		(pid_t)parse_count(eq + 1, INT32_MAX) };
}

static void
set_option(struct load_options *o, const struct option_row *row, char *text)
{
	char *field = (char *)o + row->offset;

	switch (row->type) {
	case OPT_TEXT:
		*(const char **)(void *)field = text;
		return;
	case OPT_COUNT:
		*(unsigned *)(void *)field =
		    (unsigned)parse_count(text, 10000000);
		return;
	case OPT_COUNT64:
		*(uint64_t *)(void *)field = parse_count(text, 1000000000);
		return;
	case OPT_NUMBER:
		*(double *)(void *)field = parse_number(text);
		return;
	case OPT_FLAG:
		*(bool *)(void *)field = true;
		return;
	case OPT_STREAM:
		add_target(o->stream, &o->streams, text);
		return;
	case OPT_POST:
		add_target(o->post, &o->posts, text);
		return;
	case OPT_PID:
		add_pid(o, text);
		return;
	}
}

static void
check(struct load_options *o)
{
	if (o->streams == 0)
		usage("--stream is missing");
	if (o->posts == 0) {
		memcpy(o->post, o->stream, sizeof(o->post));
		o->posts = o->streams;
	}
	if (o->concurrency == 0)
		usage("--concurrency must be at least 1");
	if (o->sessions == 0)
		o->sessions = o->concurrency;
	if (o->open_window == 0)
		usage("--open-window must be at least 1");
	if (o->size < MESSAGE_TEXT_MIN || o->size > MESSAGE_TEXT_MAX)
		usage("--size must be between 32 and 1000000");
}

void
load_options_parse(struct load_options *o, int argc, char **argv)
{
	struct option longs[ARRAY_LEN(rows) + 1] = { { .name = NULL } };
	int at;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		longs[i].name = rows[i].name;
		longs[i].has_arg = rows[i].type == OPT_FLAG ? no_argument
							    : required_argument;
	}
	*o = (struct load_options){ .path = "/sse", .tool = "echo",
		.arg_name = "text", .concurrency = 64, .open_window = 128,
		.size = 64, .seconds = 5, .warmup_s = 1, .timeout_s = 30 };
	for (;;) {
		int c = getopt_long(argc, argv, "", longs, &at);

		if (c == -1)
			break;
		if (c != 0)
			usage(NULL);
		set_option(o, &rows[at], optarg);
	}
	if (optind != argc)
		usage("unknown argument");
	check(o);
}
