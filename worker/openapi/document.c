#include "worker/openapi/document.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "worker/openapi/reader.h"

static bool
looks_like_json(const char *p, size_t n)
{
	size_t i = n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	while (i < n && strchr(" \t\r\n", p[i]) != NULL && p[i] != '\0')
		i++;
	return i < n && (p[i] == '{' || p[i] == '[');
}

/*
 * What begins like JSON may still be YAML in its flow style. JSON that is large
 * and wrong would be read twice, for a message about YAML: the first counts.
 */
static bool
read_text(struct document *d, size_t n, struct reading *r)
{
	if (looks_like_json(d->text, n))
		return json_read(r, d->text, n, &d->value);
	return yaml_read(r, d->text, n, &d->value);
}

struct document *
document_new(const char *name, char *take_text, size_t n,
    enum document_kind kind, struct strbuf *error)
{
	struct document *d = xcalloc(1, sizeof(*d));
	struct strbuf why = STRBUF_INIT(512);
	struct reading reading = { .arena = &d->arena,
		.unique = kind == DOCUMENT_STRICT,
		.error = &why };
	bool ok;

	d->name = xstrdup(name);
	d->text = take_text;
	d->root = &d->value;
	d->size = n;
	ok = read_text(d, n, &reading);
	if (!ok) {
		strbuf_addf(
		    error, "%s:%u: %s", name, reading.line, strbuf_str(&why));
		document_free(d);
		d = NULL;
	}
	strbuf_release(&why);
	return d;
}

static bool
read_all(int fd, char *to, size_t n)
{
	while (n > 0) {
		ssize_t got = read(fd, to, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		n -= (size_t)got;
	}
	return true;
}

/* NULL and what is wrong with it. */
static char *
load(const char *path, size_t max, size_t *n, struct strbuf *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *text = NULL;

	if (fd < 0 || fstat(fd, &st) != 0) {
		strbuf_add_str(why, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		strbuf_add_str(why, "not a regular file");
	} else if ((uint64_t)st.st_size > max) {
		strbuf_addf(why, "larger than %zu bytes", max);
	} else {
		*n = (size_t)st.st_size;
		text = xmalloc(*n + 1);
		if (!read_all(fd, text, *n)) {
			strbuf_add_str(why, "cannot be read");
			free(text);
			text = NULL;
		}
	}
	if (fd >= 0)
		close(fd);
	return text;
}

struct document *
document_open(
    const char *path, size_t max, enum document_kind kind, struct strbuf *error)
{
	struct strbuf why = STRBUF_INIT(256);
	struct document *d = NULL;
	size_t n = 0;
	char *text = load(path, max, &n, &why);

	if (text != NULL)
		d = document_new(path, text, n, kind, error);
	else
		strbuf_addf(error, "%s: %s", path, strbuf_str(&why));
	strbuf_release(&why);
	return d;
}

void
document_free(struct document *d)
{
	if (d == NULL)
		return;
	arena_release(&d->arena);
	free(d->text);
	free(d->name);
	free(d);
}
