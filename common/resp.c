#include "common/resp.h"

#include "common/strbuf.h"

/* '*' or '$', at most 20 digits, CR LF. */
#define HEADER_BOUND (1 + 20 + 2)
#define CRLF_BYTES 2

size_t
resp_command_bound(const struct slice *argv, size_t argc)
{
	size_t bound = HEADER_BOUND + argc * (HEADER_BOUND + CRLF_BYTES);

	for (size_t i = 0; i < argc; i++)
		bound += argv[i].n;
	return bound;
}

static inline char *
write_crlf(char *p)
{
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

/* Most lengths have one or two digits; those skip the general loop. */
static inline char *
write_header(char *p, char type, size_t v)
{
	*p++ = type;
	if (v < 10) {
		*p++ = (char)('0' + v);
	} else if (v < 100) {
		*p++ = (char)('0' + v / 10);
		*p++ = (char)('0' + v % 10);
	} else {
		p += u64_decimal(p, v);
	}
	return write_crlf(p);
}

char *
resp_command_write(char *p, const struct slice *argv, size_t argc)
{
	p = write_header(p, '*', argc);
	for (size_t i = 0; i < argc; i++) {
		p = write_header(p, '$', argv[i].n);
		if (argv[i].n > 0)
			memcpy(p, argv[i].p, argv[i].n);
		p = write_crlf(p + argv[i].n);
	}
	return p;
}
