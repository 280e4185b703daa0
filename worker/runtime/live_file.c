#include "worker/runtime/live_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define TOUCH_MS 1000

void
live_file_init(struct live_file *f, const char *path)
{
	*f = (struct live_file){ .path = path };
}

/* Returns 0, or what is wrong (errno). */
static int
touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	int wrong = 0;

	if (fd < 0)
		return errno;
	if (futimens(fd, NULL) != 0)
		wrong = errno;
	close(fd);
	return wrong;
}

void
live_file_tick(struct live_file *f)
{
	uint64_t now = clock_mono_ms();
	int wrong;

	if (f->path == NULL || now < f->due_ms)
		return;
	f->due_ms = now + TOUCH_MS;
	wrong = touch(f->path);
	if (wrong != 0 && !f->failed)
		log_error("live file not touched", LF("path", f->path),
		    LF("reason", strerror(wrong)));
	f->failed = wrong != 0;
}
