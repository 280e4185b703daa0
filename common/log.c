#include "common/log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/strbuf.h"

/* Longer lines are cut: a log is read by people and by line-based shippers. */
#define LINE_MAX_BYTES 4096

static struct {
	const char *program;
	const char *pod;
	enum log_level level;
} logger = { "mcp", "", LOG_LEVEL_INFO };

static const char *const level_names[] = { "debug", "info", "warn", "error" };

void
log_setup(const char *program, const char *pod, enum log_level level)
{
	logger.program = program;
	logger.pod = pod;
	logger.level = level;
}

bool
log_enabled(enum log_level level)
{
	return level >= logger.level;
}

struct slice
log_session_id(const char *sid)
{
	return slice_of(sid, strnlen(sid, 8));
}

static bool
is_plain(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
			return false;
	}
	return s.n > 0;
}

/* As JSON, but for bytes beyond ASCII: a terminal may act on C1 controls. */
static void
add_quoted(struct strbuf *sb, struct slice s)
{
	size_t from = sb->n;
	struct strbuf json = STRBUF_INIT(LINE_MAX_BYTES);

	strbuf_add_json(&json, s);
	for (size_t i = 0; i < json.n; i++) {
		unsigned char c = (unsigned char)json.p[i];

		if (c < 0x7f)
			strbuf_add_char(sb, json.p[i]);
		else
			strbuf_addf(sb, "\\x%02x", c);
	}
	if (!strbuf_ok(&json) || !strbuf_ok(sb)) {
		sb->n = from;
		sb->failed = false;
		strbuf_add_str(sb, "\"(too long)\"");
	}
	strbuf_release(&json);
}

static void
add_text(struct strbuf *sb, struct slice s)
{
	if (is_plain(s))
		strbuf_add_slice(sb, s);
	else
		add_quoted(sb, s);
}

static void
add_time(struct strbuf *sb)
{
	uint64_t ms = clock_wall_ms();
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char text[32];

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	strbuf_addf(sb, "ts=%s.%03uZ", text, (unsigned)(ms % 1000));
}

static void
add_field(struct strbuf *line, const struct log_field *field)
{
	strbuf_addf(line, " %s=", field->key);
	if (field->text.p != NULL)
		add_text(line, field->text);
	else
		strbuf_addf(line, "%lld", (long long)field->number);
}

void
log_write(enum log_level level, const struct log_field *fields, size_t count)
{
	struct strbuf line = STRBUF_INIT(LINE_MAX_BYTES);
	ssize_t wrote UNUSED;

	add_time(&line);
	strbuf_addf(&line, " level=%s program=%s", level_names[level],
	    logger.program);
	if (logger.pod[0] != '\0') {
		strbuf_add_str(&line, " pod=");
		add_text(&line, slice_str(logger.pod));
	}
	for (size_t i = 0; i < count; i++)
		add_field(&line, &fields[i]);
	line.failed = false;
	line.max += 1;
	strbuf_add_char(&line, '\n');
	wrote = write(STDERR_FILENO, line.p, line.n);
	strbuf_release(&line);
}
