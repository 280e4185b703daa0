#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/runtime/tool.h"

/* Enough for any double with 17 digits: "-1.2345678901234567e-308". */
#define NUMBER_MAX 32
/* Up to here every integer is exact, and prints as one. */
#define EXACT_MAX 9007199254740992.0

struct operation {
	double (*compute)(double a, double b);
	const char *refuses_zero;   /* what to say of b = 0, or NULL */
};

static double
add(double a, double b)
{
	return a + b;
}

static double
subtract(double a, double b)
{
	return a - b;
}

static double
multiply(double a, double b)
{
	return a * b;
}

static double
divide(double a, double b)
{
	return a / b;
}

/* The shortest text that reads back as the same number. */
static struct slice
print_number(char buf[static NUMBER_MAX], double v)
{
	/* 15 digits always survive, but for subnormals, which hold fewer. */
	int digits = fabs(v) < DBL_MIN ? 1 : DBL_DIG, n = 0;

	if (v == floor(v) && fabs(v) < EXACT_MAX) {
		n = snprintf(buf, NUMBER_MAX, "%lld", (long long)v);
		return slice_of(buf, (size_t)n);
	}
	for (; digits <= DBL_DECIMAL_DIG; digits++) {
		n = snprintf(buf, NUMBER_MAX, "%.*g", digits, v);
		if (strtod(buf, NULL) == v)
			break;
	}
	return slice_of(buf, (size_t)n);
}

static void
answer_number(struct call *call, double v)
{
	char number[NUMBER_MAX], json[NUMBER_MAX + sizeof("{\"result\":}")];
	struct slice text = print_number(number, v);
	int n = snprintf(json, sizeof(json), "{\"result\":%s}", number);

	call_json(call, text, slice_of(json, (size_t)n));
}

static double
argument(const cJSON *args, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(args, name)->valuedouble;
}

static void
run_operation(struct call *call, const cJSON *args)
{
	const struct operation *op = call_tool(call)->data;
	double a = argument(args, "a"), b = argument(args, "b");
	double result;

	if (b == 0 && op->refuses_zero != NULL) {
		call_error(call, "%s", op->refuses_zero);
		return;
	}
	result = op->compute(a, b);
	if (isfinite(result))
		answer_number(call, result);
	else
		call_error(call, "%s: the result is too large for a number",
		    call_tool(call)->name);
}

#define INPUT(a, b)                                                        \
	"{\"type\":\"object\",\"properties\":{"                            \
	"\"a\":{\"type\":\"number\",\"description\":\"" a "\"},"           \
	"\"b\":{\"type\":\"number\",\"description\":\"" b "\"}},"          \
	"\"required\":[\"a\",\"b\"],\"additionalProperties\":false}"
#define OUTPUT                                                             \
	"{\"type\":\"object\",\"properties\":{"                            \
	"\"result\":{\"type\":\"number\"}},\"required\":[\"result\"]}"

/* A row of the table: function, title, description, what a and b are. */
#define OPERATION(fn, says, does, of, by, zero)                            \
	{                                                                  \
		.name = #fn, .title = (says), .description = (does),       \
		.input_schema = INPUT(of, by), .output_schema = OUTPUT,    \
		.promises = TOOL_READ_ONLY | TOOL_NOT_DESTRUCTIVE |        \
		    TOOL_IDEMPOTENT | TOOL_CLOSED_WORLD,                   \
		.run = run_operation,                                      \
		.data = &(const struct operation){ (fn), (zero) },         \
	}

static const struct tool tools[] = {
	OPERATION(add, "Add", "Adds two numbers: a + b.",
	    "first number", "second number", NULL),
	OPERATION(subtract, "Subtract", "Subtracts b from a: a - b.",
	    "number to subtract from", "number to subtract", NULL),
	OPERATION(multiply, "Multiply", "Multiplies two numbers: a * b.",
	    "first factor", "second factor", NULL),
	OPERATION(divide, "Divide", "Divides a by b: a / b.",
	    "dividend", "divisor, not 0",
	    "division by zero: b must not be 0"),
	{ .name = NULL },
};

const struct api api = {
	.name = "calculator",
	.title = "Calculator",
	.instructions = "Arithmetic on two numbers, as IEEE 754 doubles.",
	.tools = tools,
};
