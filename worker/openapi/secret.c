#include "worker/openapi/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"

#define SECRET_MAX 8192
/* How soon a new secret is seen. */
#define LOOK_EVERY_MS 1000

struct secret {
	char *path;
	char *text;
	struct stat seen;
	uint64_t looked_ms; /* monotonic */
	bool told; /* that a new one cannot be read */
};

static void
wipe(char *text)
{
	if (text == NULL)
		return;
	OPENSSL_cleanse(text, strlen(text));
	free(text);
}

static bool
is_line(const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return false;
	}
	return *text != '\0';
}

/* NULL and the reason. */
static char *
load(const char *path, struct strbuf *error)
{
	char text[SECRET_MAX + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
	char *out = NULL;

	if (n < 0) {
		strbuf_addf(error, "%s: %s", path, strerror(errno));
	} else {
		while (n > 0 && strchr("\r\n", text[n - 1]) != NULL &&
		       text[n - 1] != '\0')
			n--;
		out = xstrdup_slice(slice_of(text, (size_t)n));
		if (n > SECRET_MAX || strlen(out) != (size_t)n ||
		    !is_line(out)) {
			strbuf_addf(error,
			    "%s: not one line of at most %d bytes", path,
			    SECRET_MAX);
			wipe(out);
			out = NULL;
		}
	}
	if (fd >= 0)
		close(fd);
	OPENSSL_cleanse(text, sizeof(text));
	return out;
}

struct secret *
secret_open(const char *path, struct strbuf *error)
{
	char *text = load(path, error);
	struct secret *s;

	if (text == NULL)
		return NULL;
	s = xcalloc(1, sizeof(*s));
	s->path = xstrdup(path);
	s->text = text;
	(void)stat(path, &s->seen);
	s->looked_ms = clock_mono_ms();
	return s;
}

void
secret_free(struct secret *s)
{
	if (s == NULL)
		return;
	wipe(s->text);
	free(s->path);
	free(s);
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

const char *
secret_get(struct secret *s)
{
	struct strbuf error = STRBUF_INIT(512);
	uint64_t now = clock_mono_ms();
	struct stat st;
	char *text;

	if (now - s->looked_ms < LOOK_EVERY_MS)
		return s->text;
	s->looked_ms = now;
	if (stat(s->path, &st) != 0 || is_same(&st, &s->seen))
		return s->text;
	text = load(s->path, &error);
	if (text == NULL && !s->told)
		log_warn("secret not read anew, the one before is used",
		    LF("reason", strbuf_str(&error)));
	s->told = text == NULL;
	strbuf_release(&error);
	if (text != NULL) {
		wipe(s->text);
		s->text = text;
		s->seen = st;
	}
	return s->text;
}
