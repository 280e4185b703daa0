#include "worker/json/number.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "common/xalloc.h"

/*
 * All that a double can be, down to its last digit, has no more characters. Longer
 * texts are passed on, but out of range.
 */
#define TEXT_MAX 1100
/* Up to here whole numbers are written out, zeros and all. */
#define WHOLE_MAX 63
/* All integers of so many digits are doubles, and printed as they were. */
#define DIGITS_EXACT 15
/* Doubles end at 1e308: the rest is out of range long before. */
#define EXPONENT_MAX 100000
/* Ten times a remainder of these still is a uint64_t. */
#define DIVISOR_DIGITS_MAX 18

/*
 * digits times ten to the exponent: digits without zeros at either end, none of
 * them for 0.
 */
struct decimal {
	bool negative;
	size_t n;
	long exponent;
	char digits[TEXT_MAX];
};

/* Texts --------------------------------------------------------------------- */

static bool
in_number(char c)
{
	return isdigit((unsigned char)c) || (c != '\0' && strchr("+-.eE", c));
}

/* Takes the next number out of left; what a string holds is none. */
static struct slice
next_number(struct slice *left)
{
	const char *p = left->p, *end = p + left->n, *from;
	bool quoted = false;

	for (; p < end; p++) {
		if (quoted && *p == '\\' && p + 1 < end)
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && (*p == '-' || isdigit((unsigned char)*p)))
			break;
	}
	for (from = p; p < end && in_number(*p);)
		p++;
	*left = slice_of(p, (size_t)(end - p));
	return slice_of(from, (size_t)(p - from));
}

static void
add_digit(struct decimal *d, char c)
{
	if ((d->n > 0 || c != '0') && d->n < TEXT_MAX)
		d->digits[d->n++] = c;
}

static long
exponent_of(const char *text)
{
	long e = strtol(text, NULL, 10);

	return e > EXPONENT_MAX ? EXPONENT_MAX :
	    e < -EXPONENT_MAX ? -EXPONENT_MAX : e;
}

static void
read_decimal(struct decimal *d, const char *text)
{
	const char *p = text;

	d->negative = *p == '-';
	d->n = 0;
	d->exponent = 0;
	for (p += d->negative; isdigit((unsigned char)*p); p++)
		add_digit(d, *p);
	if (*p == '.') {
		for (p++; isdigit((unsigned char)*p); p++) {
			add_digit(d, *p);
			d->exponent--;
		}
	}
	if (*p == 'e' || *p == 'E')
		d->exponent += exponent_of(p + 1);
	for (; d->n > 0 && d->digits[d->n - 1] == '0'; d->n--)
		d->exponent++;
	if (d->n == 0)
		d->exponent = 0;
}

static void
read_value(struct decimal *d, const cJSON *number)
{
	char text[DOUBLE_DECIMAL_MAX];

	if (number->valuestring == NULL)
		text[double_decimal(text, number->valuedouble)] = '\0';
	read_decimal(d, number->valuestring ? number->valuestring : text);
}

/* Keeping ------------------------------------------------------------------- */

static bool
is_plain(struct slice text)
{
	size_t sign = text.n > 0 && text.p[0] == '-';

	for (size_t i = sign; i < text.n; i++) {
		if (!isdigit((unsigned char)text.p[i]))
			return false;
	}
	return true;
}

/* A whole number's digits with their zeros, in place of how it was written. */
static struct slice
as_digits(struct slice text, char out[static WHOLE_MAX + 2])
{
	char copy[WHOLE_MAX + 1] = "";
	struct decimal d;
	size_t n;

	if (text.n > WHOLE_MAX)
		return text;
	memcpy(copy, text.p, text.n);
	read_decimal(&d, copy);
	if (d.exponent < 0 || d.n + (size_t)d.exponent > WHOLE_MAX)
		return text;
	if (d.n == 0)
		return SLICE("0");
	out[0] = '-';
	memcpy(out + d.negative, d.digits, d.n);
	n = d.negative + d.n;
	memset(out + n, '0', (size_t)d.exponent);
	return slice_of(out, n + (size_t)d.exponent);
}

static void
keep(cJSON *number, struct slice text, enum number_form form)
{
	char digits[WHOLE_MAX + 2];

	if (form == NUMBER_WHOLE_AS_DIGITS && !is_plain(text))
		text = as_digits(text, digits);
	if (!is_plain(text) || text.n > DIGITS_EXACT)
		number->valuestring = xstrdup_slice(text);
}

/* The tree's numbers stand in the order of the text. */
static void
keep_in(cJSON *item, struct slice *left, enum number_form form)
{
	cJSON *child;

	if (cJSON_IsNumber(item))
		keep(item, next_number(left), form);
	cJSON_ArrayForEach(child, item) {
		keep_in(child, left, form);
	}
}

void
number_keep_all(cJSON *tree, struct slice json, enum number_form form)
{
	if (tree != NULL)
		keep_in(tree, &json, form);
}

/* Writing, asking -------------------------------------------------------------------- */

void
number_write(struct strbuf *sb, const cJSON *number)
{
	if (number->valuestring != NULL)
		strbuf_add_str(sb, number->valuestring);
	else
		strbuf_add_number(sb, number->valuedouble);
}

static void
write_members(struct strbuf *sb, const cJSON *value, const char *brackets)
{
	const cJSON *item;

	strbuf_add_char(sb, brackets[0]);
	cJSON_ArrayForEach(item, value) {
		if (item != value->child)
			strbuf_add_char(sb, ',');
		if (cJSON_IsObject(value)) {
			strbuf_add_json(sb, slice_str(item->string));
			strbuf_add_char(sb, ':');
		}
		number_write_tree(sb, item);
	}
	strbuf_add_char(sb, brackets[1]);
}

void
number_write_tree(struct strbuf *sb, const cJSON *value)
{
	if (cJSON_IsString(value))
		strbuf_add_json(sb, slice_str(value->valuestring));
	else if (cJSON_IsNumber(value))
		number_write(sb, value);
	else if (cJSON_IsBool(value))
		strbuf_add_str(sb, cJSON_IsTrue(value) ? "true" : "false");
	else if (cJSON_IsArray(value))
		write_members(sb, value, "[]");
	else if (cJSON_IsObject(value))
		write_members(sb, value, "{}");
	else
		strbuf_add_str(sb, "null");
}

bool
number_is_integer(const cJSON *number)
{
	struct decimal d;

	if (number->valuestring == NULL)
		return floor(number->valuedouble) == number->valuedouble;
	read_decimal(&d, number->valuestring);
	return d.exponent >= 0;
}

bool
number_in_range(const cJSON *number)
{
	double v = number->valuedouble;
	struct decimal d;

	if (number->valuestring == NULL || !isfinite(v))
		return isfinite(v);
	if (strlen(number->valuestring) > TEXT_MAX)
		return false;
	read_decimal(&d, number->valuestring);
	return v < 0 || v > 0 || d.n == 0;
}

/* Of digits without zeros at their ends: 12 is before 123, and that before 13. */
static int
compare_digits(const struct decimal *a, const struct decimal *b)
{
	int order = memcmp(a->digits, b->digits, a->n < b->n ? a->n : b->n);

	return order != 0 ? order : (a->n > b->n) - (a->n < b->n);
}

static int
compare_magnitude(const struct decimal *a, const struct decimal *b)
{
	long left = (long)a->n + a->exponent, right = (long)b->n + b->exponent;

	if (a->n == 0 || b->n == 0)
		return (a->n > 0) - (b->n > 0);
	return left != right ? (left > right) - (left < right) :
	    compare_digits(a, b);
}

static int
compare_exactly(const struct decimal *a, const struct decimal *b)
{
	int order = compare_magnitude(a, b);

	if (a->negative != b->negative && a->n > 0 && b->n > 0)
		return a->negative ? -1 : 1;
	return (a->n > 0 ? a->negative : b->negative) ? -order : order;
}

int
number_compare(const cJSON *a, const cJSON *b)
{
	double x = a->valuedouble, y = b->valuedouble;
	struct decimal left, right;

	if (a->valuestring == NULL && b->valuestring == NULL)
		return (x > y) - (x < y);
	read_value(&left, a);
	read_value(&right, b);
	return compare_exactly(&left, &right);
}

static uint64_t
divisor(const struct decimal *d)
{
	uint64_t v = 0;

	for (size_t i = 0; i < d->n; i++)
		v = v * 10 + (uint64_t)(d->digits[i] - '0');
	return v;
}

/* Division by hand: digits, and zeros for the exponent, from the left. */
static bool
divides(uint64_t by, const struct decimal *d, long zeros)
{
	uint64_t rest = 0;

	for (size_t i = 0; i < d->n; i++)
		rest = (rest * 10 + (uint64_t)(d->digits[i] - '0')) % by;
	for (long i = 0; i < zeros && rest != 0; i++)
		rest = rest * 10 % by;
	return rest == 0;
}

bool
number_is_multiple(const cJSON *number, const cJSON *of)
{
	struct decimal value, step;

	read_value(&value, number);
	read_value(&step, of);
	if (value.n == 0 || step.n == 0 || step.n > DIVISOR_DIGITS_MAX)
		return true;
	/* A value that ends in no zero is no multiple of ten. */
	return value.exponent >= step.exponent &&
	    divides(divisor(&step), &value, value.exponent - step.exponent);
}
