#include <math.h>
#include <stdio.h>

#include "worker/runtime/tool.h"

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

static void
answer_number(struct call *call, double v)
{
	char number[DOUBLE_DECIMAL_MAX];
	char json[DOUBLE_DECIMAL_MAX + sizeof("{\"result\":}")];
	struct slice text = slice_of(number, double_decimal(number, v));
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
