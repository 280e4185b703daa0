#include "common/utf8.h"

struct slice
utf8_cut(struct slice text, size_t max)
{
	if (text.n <= max)
		return text;
	while (max > 0 && ((unsigned char)text.p[max] & 0xc0) == 0x80)
		max--;
	return slice_of(text.p, max);
}
