#include <stdio.h>
#include <time.h>

#include "proxy/mcpctl/ctl.h"

void
ctl_print_time(uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	char text[32] = "never";
	struct tm tm;

	if (seconds > 0) {
		gmtime_r(&seconds, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	}
	printf("%-20s", text);
}

void
ctl_print_text(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		putchar(c < ' ' || c == 0x7f ? '?' : c);
	}
}
