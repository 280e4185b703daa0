/*
 * What the author of an API sees: describe tools in a table, answer calls.
 *
 *	static void
 *	run_greet(struct call *call, const cJSON *args)
 *	{
 *		const cJSON *name = cJSON_GetObjectItemCaseSensitive(args, "name");
 *
 *		call_text(call, slice_str(cJSON_GetStringValue(name)));
 *	}
 *
 *	static const struct tool tools[] = {
 *		{ .name = "greet", .title = "Greet",
 *		    .description = "Says a name back.",
 *		    .input_schema = "{\"type\":\"object\",...}",
 *		    .promises = TOOL_READ_ONLY | TOOL_CLOSED_WORLD,
 *		    .run = run_greet },
 *		{ .name = NULL },
 *	};
 *
 *	const struct api api = { .name = "hello", .tools = tools };
 *
 * That file alone, in worker/hello/, becomes bin/mcp-worker-hello: the runtime
 * reads calls from Redis, holds arguments against the schema, sends answers.
 * What is wrong with a table --check says, and the log when the worker starts.
 */
#ifndef MCP_WORKER_TOOL_H
#define MCP_WORKER_TOOL_H

#include <cjson/cJSON.h>
#include <event2/dns.h>
#include <event2/event.h>

#include "common/client_traits.h"
#include "common/compiler.h"
#include "common/config.h"
#include "common/strbuf.h"

/* A call that runs: from run() until its answer, or until it is cancelled. */
struct call;
/* The worker that runs the API; see below. */
struct worker_env;
/* What a thread has of a call that computes; see below. */
struct work;

/*
 * What a tool promises (MCP's annotations). Promising nothing is always right:
 * it means MCP's own defaults, those of the most dangerous tool. What is read-only
 * or idempotent runs again when its worker was lost, three times in all; of other
 * calls the outcome is then unknown, and their clients are told so.
 */
enum tool_promise {
	TOOL_READ_ONLY = 1,        /* readOnlyHint: changes nothing */
	TOOL_NOT_DESTRUCTIVE = 2,  /* destructiveHint false: only adds */
	TOOL_IDEMPOTENT = 4,       /* idempotentHint: again changes no more */
	TOOL_CLOSED_WORLD = 8      /* openWorldHint false: no outside systems */
};

struct tool {
	const char *name;           /* bare, unique in its API; NULL ends */
	const char *title;          /* for people; NULL: none */
	const char *description;    /* for models */
	/* JSON Schemas of type "object"; schema.h says what of them is checked. */
	const char *input_schema;   /* NULL: takes no arguments */
	const char *output_schema;  /* NULL: not structured */
	/*
	 * Arguments may fit more than one alternative of a oneOf: whoever wrote the
	 * schema did not mean it to the letter.
	 */
	bool may_overlap;
	unsigned promises;          /* enum tool_promise, or-ed */
	/* Time for a call from its queueing on; 0: CALL_TIMEOUT of the proxies. */
	unsigned timeout_ms;
	unsigned max_running;       /* calls at once in a worker; 0: any number */
	/*
	 * Runs a call whose arguments (an object, never NULL) fit the input
	 * schema. It answers exactly once with one of the functions below: at
	 * once, or later from the event loop, keeping call until then. It must
	 * not block: while it does, no other call moves (the log names who did).
	 * args is borrowed and lives as long as the call. A number that its
	 * double would change has its text as valuestring (number.h).
	 */
	void (*run)(struct call *call, const cJSON *args);
	/*
	 * In place of run(), for what computes for more than some milliseconds:
	 * called on a thread, WORKER_THREADS of them at most, while the event
	 * loop serves other calls. It answers exactly once before it returns,
	 * with one of the functions work_*(), and touches nothing else but args
	 * and what never changes.
	 */
	void (*compute)(struct work *work, const cJSON *args);
	const void *data;           /* the tool's own, see call_tool() */
	/*
	 * More members of its listing as JSON, without braces, as in
	 * "\"icons\":[…]"; NULL: none.
	 */
	const char *more;
	/*
	 * For tools that are really somebody else's: arguments are not held
	 * against the schema, run() has call_params() as the client sent them.
	 */
	bool raw;
	/*
	 * A raw tool's listing as it is elsewhere, members of JSON without the
	 * braces and without the name, in place of title, description, schemas
	 * and annotations; and what its _meta holds, which is not in it,
	 * likewise. NULL: none.
	 */
	const char *listing;
	const char *meta;
};

/* What a resource holds: a text, or bytes when blob.p is set. */
struct contents {
	const char *uri;
	const char *mime_type;      /* NULL: not known */
	struct slice text;
	struct slice blob;
};

/*
 * What clients may read, get and have completed. Their functions answer calls as
 * those of tools do, with the same call_ functions, each of which means the right
 * thing: to a read, call_text() (not call_json(), whose JSON nobody would see) and
 * call_image() give what the resource holds, under its URI and mime_type; to a
 * prompt, each part is a message of the user's (or of whom call_as() says);
 * call_error() is a JSON-RPC error to both.
 * call_tool() stands in for them, with name and data. All of them are safe: they
 * may run again when their worker was lost.
 */

/* By its URI. On a path that serves all APIs, the first API with it counts. */
struct resource {
	const char *uri;            /* unique in its API; NULL ends a table */
	const char *name;           /* short, for people and programs */
	const char *title;          /* as in struct tool, or NULL */
	const char *description;
	const char *mime_type;
	void (*read)(struct call *call, const cJSON *args);  /* args: empty */
	const void *data;
	const char *more;           /* as in struct tool */
	bool raw;
};

/*
 * By a URI template (RFC 6570): "{x}" stands for one or more characters but
 * "/", "?", "#"; "{+x}" for any. read() has the variables as strings in args.
 */
struct resource_template {
	const char *uri_template;   /* NULL ends a table */
	const char *name;
	const char *title;
	const char *description;
	const char *mime_type;
	void (*read)(struct call *call, const cJSON *args);
	/*
	 * Answers with call_complete() what a variable may be: args has its name
	 * as "argument", what there is of its "value", and the others that are
	 * known as "arguments". NULL: there is nothing to say.
	 */
	void (*complete)(struct call *call, const cJSON *args);
	const void *data;
	const char *more;
	bool raw;
};

struct prompt_argument {
	const char *name;           /* NULL ends a table */
	const char *title;
	const char *description;
	bool required;
};

/* On a path that serves all APIs it is called <api>_<name>, as tools are. */
struct prompt {
	const char *name;           /* NULL ends a table */
	const char *title;
	const char *description;
	const struct prompt_argument *arguments;  /* NULL: none */
	/* args: strings; those that are required are there. */
	void (*get)(struct call *call, const cJSON *args);
	void (*complete)(struct call *call, const cJSON *args);
	const void *data;
	const char *more;
	bool raw;
};

/* All that an API has; what is NULL it has none of. */
struct offers {
	const struct tool *tools;
	const struct resource *resources;
	const struct resource_template *templates;
	const struct prompt *prompts;
	/*
	 * For tables that are made while the API is up: called when others are
	 * offered in their place, and no call points to them any more; at the
	 * latest after stop(), when the worker ends. NULL: they stay.
	 */
	void (*release)(void *arg);
	void *release_arg;
};

struct api {
	const char *name;           /* see env_api_name_ok() */
	const char *title;          /* for people; NULL: the name */
	const char *version;        /* NULL: the project's */
	const char *instructions;   /* for models, how to use it; NULL: none */
	/* All NULL: start() hands them in, see worker_env_set_offers(). */
	const struct tool *tools;
	const struct resource *resources;
	const struct resource_template *templates;
	const struct prompt *prompts;

	/*
	 * One program, many APIs: the setting API_NAME names this one; name is
	 * what it is called without it.
	 */
	bool named_by_operator;
	/*
	 * Settings of the API's own: rows as in common/config.h, ended by a NULL
	 * name, whose offsets count within a struct of options_size bytes: the
	 * API's own settings, see worker_env_settings().
	 * check() completes them and says what is wrong, a line each; may be
	 * NULL.
	 */
	const struct config_option *options;
	size_t options_size;
	bool (*check)(void *settings, struct strbuf *errors);
	/*
	 * For the argument --check: looks at what the API would serve, without
	 * Redis, prints what it finds, returns the status to exit with. NULL: the
	 * runtime checks and prints its tables.
	 */
	int (*lint)(const void *settings);

	/*
	 * Brings up what tools need, once per attempt; NULL: nothing. False and
	 * the reason: the worker takes no calls, says so (log, heartbeat,
	 * readiness), and tries again after a while. What takes longer than a
	 * moment goes on after worker_env_wait().
	 */
	bool (*start)(struct worker_env *env, struct strbuf *error);
	/*
	 * Releases what start() made, the state included; after each start() that
	 * did not return false. Calls that run by then have been told off by
	 * their call_on_cancel(), or are to be forgotten: they must not be
	 * touched. May be NULL.
	 */
	void (*stop)(struct worker_env *env);
	/*
	 * For an API that has to ask somebody else to be told of changes: the
	 * resources that clients have subscribed to, all of them (1,000 at most),
	 * borrowed; first when the API is up, then within a second when one
	 * comes. They go some time after nobody listens any more. NULL: changes
	 * come to its knowledge anyway.
	 */
	void (*watch)(struct worker_env *env, const char *const *uris, size_t n);
};

/* Each API's folder defines this one. */
extern const struct api api;

/* The worker's event loop, for what is asynchronous. */
struct event_base *worker_env_base(const struct worker_env *env);
/* Resolves names on that loop. */
struct evdns_base *worker_env_dns(const struct worker_env *env);
/* The API's own settings, as options has them; NULL without any. */
const void *worker_env_settings(const struct worker_env *env);
/* The API's name, as the operator wants it. */
const char *worker_env_name(const struct worker_env *env);
/* What the API remembers for as long as it is up; NULL at start(). */
void *worker_env_state(const struct worker_env *env);
void worker_env_set_state(struct worker_env *env, void *state);
/*
 * What the API has from now on, in place of all before; at any time: clients are
 * told that lists have changed. Tables are borrowed until their release(), or else
 * as long as the API is up, because calls that run point to them. False and the
 * reason when they are not fit to be listed: nothing has changed.
 * This is about one worker: those of an API should come to offer the same, for
 * any of them gets the calls. Listed is what the one offers that started last.
 */
bool worker_env_set_offers(struct worker_env *env, const struct offers *offers,
    struct strbuf *error) MUST_CHECK;
/* The same for an API that has tools only. */
bool worker_env_set_tools(struct worker_env *env, const struct tool *tools,
    struct strbuf *error) MUST_CHECK;
/*
 * What that resource holds has changed: clients that subscribed to it hear so,
 * within two seconds, and once of changes in so short a time.
 */
void worker_env_resource_changed(struct worker_env *env, const char *uri);
/* How to use the API, in place of api.instructions, from the next tools on. */
void worker_env_set_instructions(struct worker_env *env, const char *text);
/* Within start(): it is not done; one of the next two will say how it ended. */
void worker_env_wait(struct worker_env *env);
/* Not from within start(). */
void worker_env_ready(struct worker_env *env);
/* As when start() returns false, but stop() is called, before this returns. */
void worker_env_fail(struct worker_env *env, const char *reason);

/*
 * The answers, from the event loop's thread alone: a call that is used on another is
 * refused there, and logged. After one of them call belongs to the runtime and is not
 * to be touched again. A second answer within the same run() is refused and logged; a
 * later one may meet somebody else's call: `make VARIANT=asan` finds those.
 * All text is UTF-8; it is copied. JSON goes out as it is; what is not strict JSON
 * (64 levels at most) becomes an error, and a line in the log.
 */

/* A result with one text. */
void call_text(struct call *call, struct slice text);
/* A result with one picture, or one sound; mime_type such as "image/png". */
void call_image(struct call *call, struct slice bytes, const char *mime_type);
void call_audio(struct call *call, struct slice bytes, const char *mime_type);
/* A result with isError: the tool failed, and the model should know why. */
void call_error(struct call *call, const char *fmt, ...) PRINTF_LIKE(2, 3);
/*
 * A structured result: json is one JSON object; text says the same to older
 * clients. The result of a tool with an output schema must have one that fits it:
 * what does not, or call_text() in its place, becomes an error that names the
 * field, and a line in the log. (call_result() is sent as it is.)
 */
void call_json(struct call *call, struct slice text, struct slice json);

/* A whole result of the API's own making: one JSON object. */
void call_result(struct call *call, struct slice json, bool is_error);
/* A JSON-RPC error instead of a result: the call itself was not right. */
void call_refuse(struct call *call, int code, const char *message);
/* The same with an error object of the API's own making. */
void call_refuse_json(struct call *call, struct slice error);
/*
 * What ran the call for the tool was lost, and nobody knows how far it came: a
 * safe call goes back to the queue, to run again, three times in all; of another
 * the outcome is unknown, and its client is told so.
 */
void call_lost(struct call *call);

/*
 * An answer of several parts: each call_add_ writes one more into the reply, then
 * one of call_done, call_done_json and call_failed sends it. Not one part is
 * sent before. Larger answers than 1 MiB become an error.
 */
void call_add_text(struct call *call, struct slice text);
void call_add_image(struct call *call, struct slice bytes,
    const char *mime_type);
void call_add_audio(struct call *call, struct slice bytes,
    const char *mime_type);
/* A resource with what it holds. */
void call_add_resource(struct call *call, const struct contents *contents);
/* A resource for the client to read if it likes; its uri and name are needed. */
void call_add_link(struct call *call, const struct resource *to);
/* A content block of the API's own making. */
void call_add_json(struct call *call, struct slice block);

/*
 * Of a prompt, whose messages what follows are: "user", as at first, or
 * "assistant". Borrowed until the answer.
 */
void call_as(struct call *call, const char *role);

void call_done(struct call *call);
void call_done_json(struct call *call, struct slice json);
void call_failed(struct call *call);   /* with isError */

/*
 * While a call runs: what the client hears before the answer, in this order.
 * Nothing is sent that the client did not ask for, or to nobody; more than 32 at
 * once and 10 a second of one call are dropped.
 */

/*
 * How far it is, if the client wants to know. done must grow from one report to
 * the next, others are dropped; total 0: not known; message NULL: none. The
 * runtime reports by itself that a call goes on when its tool has been silent
 * for WORKER_PROGRESS_INTERVAL.
 */
void call_progress(struct call *call, double done, double total,
    const char *message);
/*
 * A log message, if the client listens to that level, LEVEL_DEBUG to
 * LEVEL_EMERGENCY (client_traits.h): data is any JSON value; logger names the part
 * of the API that speaks, NULL: none.
 */
void call_log(struct call *call, enum client_level level, const char *logger,
    struct slice data);
/* The same with a text for data. */
void call_log_text(struct call *call, enum client_level level,
    const char *logger, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Any other notification; params is one JSON object. */
void call_notify(struct call *call, const char *method, struct slice params);
/* Would call_log() send it? For those whose data is work to make. */
bool call_logs(const struct call *call, enum client_level level);
/* The client's progress token, raw JSON; empty: it does not want to know. */
struct slice call_progress_token(const struct call *call);

/*
 * Closes the client's stream while the call goes on, so that a call of hours need
 * not hold a connection open (SEP-1699): the client comes back by itself after its
 * `retry:` delay, and the answer waits for it. What was said before is written
 * first. Only the stream that the call came by is closed, so a call closes one
 * at most; and only if the client is sure to get its session back, by a client
 * key. Others keep their stream, and the call is none the worse for it.
 */
void call_close_stream(struct call *call);

/* What the client answers to call_ask(). */
struct call_answer {
	const cJSON *result;        /* NULL: an error instead */
	struct slice json;          /* the result, or the error, as sent */
	int error;                  /* JSON-RPC code; 0: there is a result */
	const char *message;        /* of the error */
};
typedef void call_answer_fn(struct call *call,
    const struct call_answer *answer, void *arg);

/*
 * Asks the client for something: method is sampling/createMessage (with tools if
 * params have them), elicitation/create (a form, or a URL if params have
 * "mode":"url"), roots/list or ping; params is one JSON object, empty: none. NULL:
 * fn will be called once, with the answer or with an error after timeout_ms (0:
 * with the call's own deadline), unless the call ends before; the client is then
 * told that nobody waits. Else the reason why the client cannot be asked, to be
 * reported.
 * Wherever the client's answer arrives it finds this worker; if this worker is
 * lost meanwhile, a safe tool runs again and asks again.
 */
const char *call_ask(struct call *call, const char *method,
    struct slice params, unsigned timeout_ms, call_answer_fn *fn,
    void *arg) MUST_CHECK;
/*
 * Nobody waits any more for the answer to what was asked with that arg: the client
 * is told so, and fn is not called. Nothing when it has been answered.
 */
void call_ask_end(struct call *call, void *arg);
/* What the client can be asked: CLIENT_SAMPLING and others, or-ed. */
unsigned call_client_can(const struct call *call);

/*
 * Answers a completion with n values, the first 100 of which are sent; total is
 * how many there are, 0: not known.
 */
void call_complete(struct call *call, const char *const *values, size_t n,
    size_t total);
#define CALL_COMPLETE_MAX 100
/* "Resource not found" (MCP, "Resources"), for call_refuse(). */
#define CALL_NOT_FOUND (-32002)
/* The URI that is being read; NULL: none is. Borrowed from the call. */
const char *call_uri(const struct call *call);

/* The tool that is being called, with its data. */
const struct tool *call_tool(const struct call *call);
/* A raw tool's params as the client sent them, one JSON object; else empty. */
struct slice call_params(const struct call *call);
/* The API's state, see worker_env_set_state(). */
void *call_state(const struct call *call);
struct worker_env *call_env(const struct call *call);
/*
 * Names this call for ever: the same on each attempt, another for each call. For
 * upstream systems that take an idempotency key. Borrowed from the call.
 */
struct slice call_idempotency_key(const struct call *call);
/* 1; more when a worker before this one may have begun the call. */
unsigned call_attempt(const struct call *call);
/* Who calls: the user's hash; empty when it is not known. Borrowed. */
struct slice call_user(const struct call *call);
/*
 * A header of the client's POST that the proxies were told to pass on
 * (FORWARD_HEADERS); p is NULL when there is none. Borrowed from the call.
 */
struct slice call_header(const struct call *call, const char *name);
/* When the call is given up: wall clock, Unix time in ms; 0: never. */
uint64_t call_deadline_ms(const struct call *call);
/* Until then, for timeouts of one's own; 0: now, UINT64_MAX: never. */
uint64_t call_left_ms(const struct call *call);
/*
 * Asks to be told when nobody waits for the call any more: the client cancelled
 * it, its deadline passed, or the worker stops. fn ends what the tool does for
 * the call and does not answer; after it the call is not to be touched. A tool
 * that does not ask goes on and answers, to nobody. fn NULL: no longer.
 */
void call_on_cancel(struct call *call, void (*fn)(struct call *call, void *arg),
    void *arg);

/* For compute(), on its thread: the answers as above, and what it may ask. */
void work_text(struct work *work, struct slice text);
void work_error(struct work *work, const char *fmt, ...) PRINTF_LIKE(2, 3);
void work_json(struct work *work, struct slice text, struct slice json);
void work_result(struct work *work, struct slice json, bool is_error);
const struct tool *work_tool(const struct work *work);
/* The API's settings, which never change; its state is the event loop's. */
const void *work_settings(const struct work *work);
/*
 * Nobody waits any more: to be asked now and then. What goes on all the same
 * takes up its thread, and at the end of the process WORKER_DRAIN_TIMEOUT.
 */
bool work_cancelled(const struct work *work);

#endif
