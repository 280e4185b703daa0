#include "worker/runtime/ready_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/log.h"

static void
make(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		log_error("ready file not made", LF("path", path),
		    LF("reason", strerror(errno)));
	else
		close(fd);
}

static void
take_away(const char *path)
{
	if (unlink(path) != 0 && errno != ENOENT)
		log_error("ready file not removed", LF("path", path),
		    LF("reason", strerror(errno)));
}

void
ready_file_init(struct ready_file *f, const char *path)
{
	*f = (struct ready_file){ .path = path };
	if (path != NULL)
		take_away(path);
}

void
ready_file_set(struct ready_file *f, bool ready)
{
	if (f->path == NULL || ready == f->there)
		return;
	if (ready)
		make(f->path);
	else
		take_away(f->path);
	f->there = ready;
}
