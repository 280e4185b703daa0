#include "tests/bench/lib/procstat.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static bool
read_file(pid_t pid, const char *name, char *buf, size_t size)
{
	char path[64];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	n = fread(buf, 1, size - 1, f);
	buf[n] = '\0';
	fclose(f);
	return n > 0;
}

/* proc(5): utime and stime are fields 14 and 15, the 12th and 13th after the
 * command's name, which may itself hold blanks and parentheses. */
static bool
read_cpu(pid_t pid, double *cpu_s)
{
	char buf[1024];
	const char *p;
	uint64_t user, sys;

	if (!read_file(pid, "stat", buf, sizeof(buf)))
		return false;
	p = strrchr(buf, ')');
	if (p == NULL || sscanf(p + 1,
	    " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64
	    " %" SCNu64, &user, &sys) != 2)
		return false;
	*cpu_s = (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
	return true;
}

/* The number behind "name:" in smaps_rollup, in KB; 0 when it is not there. */
static uint64_t
rollup_kb(const char *text, const char *name)
{
	const char *p = strstr(text, name);
	uint64_t kb = 0;

	if (p == NULL || sscanf(p + strlen(name), " %" SCNu64, &kb) != 1)
		return 0;
	return kb;
}

bool
procstat_read(pid_t pid, struct procstat *out)
{
	char rollup[4096];
	double cpu_s;

	if (!read_cpu(pid, &cpu_s) ||
	    !read_file(pid, "smaps_rollup", rollup, sizeof(rollup)))
		return false;
	out->cpu_s = cpu_s;
	out->rss_kb = rollup_kb(rollup, "\nRss:");
	out->uss_kb = rollup_kb(rollup, "\nPrivate_Clean:") +
	    rollup_kb(rollup, "\nPrivate_Dirty:");
	return true;
}
