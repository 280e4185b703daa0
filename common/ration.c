#include "common/ration.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/*
 * Bytes that count against RLIMIT_DATA (VmData, the sixth number of statm); 0:
 * not known.
 */
static size_t
data_bytes(void)
{
	char text[256];
	size_t pages = 0;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	/* NOLINTNEXTLINE(cert-err34-c): digits of the kernel's own. */
	if (sscanf(text, "%*u %*u %*u %*u %*u %zu", &pages) != 1)
		return 0;
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

void
ration_begin(struct ration *r, size_t bytes)
{
	struct rlimit limit;
	size_t data = bytes > 0 ? data_bytes() : 0;

	r->set = false;
#ifdef __SANITIZE_ADDRESS__
	/* Its allocator ends the process instead of failing. */
	data = 0;
#endif
	if (data == 0 || getrlimit(RLIMIT_DATA, &r->before) != 0)
		return;
	limit = r->before;
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > data + bytes)
		limit.rlim_cur = data + bytes;
	r->set = setrlimit(RLIMIT_DATA, &limit) == 0;
}

void
ration_end(struct ration *r)
{
	if (r->set)
		(void)setrlimit(RLIMIT_DATA, &r->before);
}
