"""A small MCP server over standard input and output, with the standard library alone.

What it does beside what a server should, its environment says:

    SERVER_MOOD    silent: never answers; dies: ends at once; refuses: an error to initialize;
                   noisy: writes a banner and lines that are no messages; pages: lists its
                   tools one a page; flaky: ends at once unless a file FLAKY exists;
                   unwatched: cannot be subscribed to; deaf: does not answer who subscribes;
                   twice: says everything twice; strings: gives ids back as strings;
                   batches: writes lists of messages; endless: its list of tools has no end;
                   restless: says with each list that it has changed; slow: takes two seconds
                   to start;
                   nested: a resource has a part that is one, too; tidy: takes half a second
                   to end, and writes that it has into a file TIDY
    SERVER_PROTOCOL its revision of MCP; without it, that of the client
    SERVER_FILE    a file that it watches for those who have subscribed
    SERVER_NOTE    what its tool `environment` should find

Every message goes through threads, as servers do that run calls at once.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

MOOD = os.environ.get("SERVER_MOOD", "")
write_lock = threading.Lock()
asked = {}          # id of a request to the client: event and answer
cancelled = {}      # id of a running call: event
level = "none"
client = None       # what it says of itself
extra_tools = []
watched = []        # URIs, as they are subscribed to
unwatched = []      # those no longer
after = []          # to be done once an answer is out
listed = 0          # how often its tools were


def write(line):
    with write_lock:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()


def send(message):
    if MOOD == "strings" and "method" not in message:
        message = {**message, "id": str(message["id"])}
    message = {"jsonrpc": "2.0", **message}
    if MOOD == "batches" and message.get("result", {}).get("protocolVersion") is None:
        note = {"jsonrpc": "2.0", "method": "notifications/nothing"}
        message = [note, message, 1, [message]]
    line = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    for _ in range(2 if MOOD == "twice" else 1):
        write(line)


def notify(method, params):
    send({"method": method, "params": params})


def ask(method, params, seconds=20):
    id = f"ask-{len(asked)}"
    event = threading.Event()
    asked[id] = [event, None]
    send({"id": id, "method": method, "params": params})
    return asked[id][1] if event.wait(seconds) else {"error": {"message": "no answer"}}


def text(value, **more):
    return {"content": [{"type": "text", "text": value}], **more}


def tool(name, properties=None, **more):
    schema = {"type": "object", "properties": properties or {}}
    return {"inputSchema": schema, "name": name, "description": f"The tool {name}.", **more}


SAFE = {"annotations": {"readOnlyHint": True, "title": "Safe one"}}
TOOLS = [
    tool("echo", {"text": {"type": "string"}}, _meta={"example/key": [1.50, "é"]},
         outputSchema={"type": "object", "properties": {"text": {"type": "string"}}},
         title="Echo", **SAFE),
    tool("whoami", **SAFE), tool("environment", **SAFE),
    tool("sleep", {"seconds": {"type": "number"}, "file": {"type": "string"}}, **SAFE),
    tool("append", {"file": {"type": "string"}, "line": {"type": "string"},
                    "seconds": {"type": "number"}}),
    tool("fail", **SAFE), tool("refuse", **SAFE), tool("large", {"bytes": {"type": "integer"}},
                                                       **SAFE),
    tool("progress", **SAFE), tool("log", **SAFE), tool("sample", **SAFE),
    tool("die", {"file": {"type": "string"}}, **SAFE),
    tool("die_unsafe"), tool("hang", **SAFE), tool("stop_reading", **SAFE),
    tool("change", {"name": {"type": "string"}}, **SAFE), tool("say", {"text": {}}, **SAFE),
    tool("spawn", {"file": {"type": "string"}}, **SAFE), tool("raw", **SAFE),
    tool("replace", {"name": {"type": "string"}, "bytes": {"type": "integer"}}, **SAFE),
    *[tool(name, {"method": {"type": "string"}, "params": {"type": "object"}}, **SAFE)
      for name in ("ask", "ask_later", "withdraw", "complete")], tool("ask_unsafe"),
    tool("broken", {"kind": {"type": "string"}}, **SAFE), tool("babble", **SAFE),
    tool("watched", **SAFE), tool("touch", {"uri": {"type": "string"}, "times": {}}, **SAFE),
    tool("not a good name"),
]


RESOURCES = [{"uri": "note://one", "name": "one", "mimeType": "text/plain", "size": 3,
              "_meta": {"k": 1}}, {"uri": "note://two", "name": "two"}]
TEMPLATES = [{"uriTemplate": "note://by/{id}", "name": "by", "title": "By id"},
             {"uriTemplate": "note://in/{folder*}{?after,first}", "name": "in"}]
if MOOD == "nested":
    RESOURCES.append({"uri": "note://one/secret", "name": "secret"})
if "SERVER_FILE" in os.environ:
    TEMPLATES.append({"uriTemplate": "file://{+path}", "name": "file"})
PROMPTS = [{"name": "greet", "description": "Greets.", "arguments": [
    {"name": "who", "required": True}]}, {"name": "not fit!"}]


class Refusal(Exception):
    pass


def append(path, line):
    with open(path, "a", encoding="utf-8") as file:
        file.write(line + "\n")


def run_sleep(id, args, meta):
    if cancelled[id].wait(args["seconds"]):
        append(args["file"], f"cancelled {id}")
        return None
    return text("slept")


def run_append(id, args, meta):
    append(args["file"], args["line"])
    time.sleep(args.get("seconds", 0))
    return text("appended")


def run_refuse(id, args, meta):
    raise Refusal({"code": -32042, "message": "no", "data": {"why": [1.0]}})


def run_progress(id, args, meta):
    for done in (1, 2.5, 4):
        notify("notifications/progress", {"progressToken": meta.get("progressToken"),
                                          "progress": done, "total": 4, "message": f"at {done}"})
    return text(json.dumps(meta.get("progressToken")))


def run_log(id, args, meta):
    notify("notifications/message", {"level": "warning", "logger": "here", "data": {"n": 1.0}})
    notify("notifications/message", {"level": "debug", "data": "unheard"})
    return text(level)


def run_sample(id, args, meta):
    answer = ask("sampling/createMessage", {"messages": [], "maxTokens": 7})
    return text(json.dumps(answer))


def run_ask(id, args, meta):
    answer = ask(args["method"], args.get("params", {}))
    if "file" in args:
        append(args["file"], json.dumps(answer))
    return text(json.dumps(answer))


def run_ask_later(id, args, meta):
    after.append(lambda: run_ask(id, args, meta))
    return text("later")


def run_withdraw(id, args, meta):
    asking = threading.Thread(target=ask, args=(args["method"], args.get("params", {})),
                              daemon=True)
    count = len(asked)
    asking.start()
    while len(asked) == count:
        time.sleep(0.01)
    if cancelled[id].wait(args["seconds"]):
        return None
    notify("notifications/cancelled", {"requestId": f"ask-{count}", "reason": "never mind"})
    return text("withdrawn")


def run_complete(id, args, meta):
    notify("notifications/elicitation/complete", {"elicitationId": "e-1"})
    return text("completed")


def run_die(id, args, meta):
    if "file" in args:
        append(args["file"], "died")
    os._exit(7)


def run_stop_reading(id, args, meta):
    os.kill(os.getpid(), signal.SIGSTOP)


def run_change(id, args, meta):
    extra_tools.append(tool(args["name"], **SAFE))
    notify("notifications/tools/list_changed", {})
    return text("changed")


def run_replace(id, args, meta):
    extra_tools[:] = [tool(args["name"], title="t" * args["bytes"], **SAFE)]
    notify("notifications/tools/list_changed", {})
    return text("replaced")


def run_watched(id, args, meta):
    return text(json.dumps({"pid": os.getpid(), "watched": watched, "unwatched": unwatched,
                            "listed": listed}))


def run_touch(id, args, meta):
    for n in range(args.get("times", 1)):
        notify("notifications/resources/updated", {"uri": args["uri"].replace("*", str(n))})
    return text("touched")


def run_say(id, args, meta):
    print(args["text"], file=sys.stderr, flush=True)
    return text("said")


BROKEN = {
    "nan": b'{"jsonrpc":"2.0","id":%d,"result":{"content":[],"structuredContent":{"n":NaN}}}',
    "utf8": b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"\xff"}]}}',
    "cut": b'{"jsonrpc":"2.0","id":%d,"result":{"content":[',
    "nothing": b'{"jsonrpc":"2.0","id":%d}',
    "both": b'{"jsonrpc":"2.0","id":%d,"result":{},"error":{"code":1,"message":"x"}}',
    "list": b'{"jsonrpc":"2.0","id":%d,"result":[]}',
}


def run_broken(id, args, meta):
    write(BROKEN[args["kind"]] % id)


def run_babble(id, args, meta):
    write(b"\n".join(b"debug: %d \xff" % n for n in range(args["lines"])))
    return text("babbled")


def run_spawn(id, args, meta):
    child = subprocess.Popen(["sleep", "600"])  # pylint: disable=consider-using-with
    append(args["file"], f"{child.pid}")
    return text("spawned")


RUN = {
    "echo": lambda id, args, meta: text(args["text"], structuredContent={"text": args["text"]}),
    "whoami": lambda id, args, meta: text(str(os.getpid())),
    "environment": lambda id, args, meta: text(json.dumps(
        {"environment": dict(os.environ), "directory": os.getcwd(), "client": client})),
    "sleep": run_sleep, "append": run_append, "refuse": run_refuse,
    "fail": lambda id, args, meta: text("it failed", isError=True),
    "large": lambda id, args, meta: text("x" * args["bytes"]),
    "progress": run_progress, "log": run_log, "sample": run_sample, "ask_unsafe": run_ask,
    "die": run_die,
    "die_unsafe": run_die, "hang": lambda id, args, meta: time.sleep(3600),
    "stop_reading": run_stop_reading, "change": run_change, "say": run_say, "replace": run_replace,
    "broken": run_broken, "babble": run_babble,
    "ask": run_ask, "ask_later": run_ask_later, "withdraw": run_withdraw,
    "complete": run_complete, "watched": run_watched, "touch": run_touch, "spawn": run_spawn,
    "raw": lambda id, args, meta: {"content": [], "later": {"n": 1.50, "é": "\u2028", "e": 1e5}},
}


def call(id, params):
    name, args, meta = params["name"], params.get("arguments", {}), params.get("_meta", {})
    if name not in RUN:
        return text(f"{name} {json.dumps(args)}")
    return RUN[name](id, args, meta)


def initialize(params):
    global client  # pylint: disable=global-statement
    client = params
    if MOOD == "refuses":
        raise Refusal({"code": -32603, "message": "not today"})
    revision = os.environ.get("SERVER_PROTOCOL", params["protocolVersion"])
    return {"protocolVersion": revision, "instructions": 'Use "echo".\n',
            "capabilities": {"tools": {"listChanged": True}, "logging": {}, "prompts": {},
                             "resources": {"subscribe": MOOD != "unwatched"},
                             "completions": {}},
            "serverInfo": {"name": "small", "version": "1"}}


def list_tools(params):
    global listed  # pylint: disable=global-statement
    tools = TOOLS + extra_tools
    listed += 1
    if MOOD == "restless":
        notify("notifications/tools/list_changed", {})
    if MOOD == "endless":
        return {"tools": tools[:1], "nextCursor": "again"}
    if MOOD != "pages":
        return {"tools": tools}
    at = int(params.get("cursor", "0"))
    more = {"nextCursor": str(at + 1)} if at + 1 < len(tools) else {}
    return {"tools": tools[at:at + 1], **more}


def read(params):
    if params["uri"] == "note://missing":
        raise Refusal({"code": -32002, "message": "no such note"})
    return {"contents": [{"uri": params["uri"], "text": f"note of {params['uri']}", "x": 1.0}]}


def subscribe(params):
    if MOOD == "deaf":
        return None
    if params["uri"] == "note://missing":
        raise Refusal({"code": -32002, "message": "no such note"})
    if params["uri"] == "note://poison":
        os._exit(8)
    watched.append(params["uri"])
    return {}


def unsubscribe(params):
    watched.remove(params["uri"])
    unwatched.append(params["uri"])
    return {}


def watch_file(path):
    """Every process of this server sees when it changes, and says so."""
    before = None
    while True:
        now = os.stat(path).st_mtime_ns if os.path.exists(path) else None
        if now != before and f"file://{path}" in watched:
            notify("notifications/resources/updated", {"uri": f"file://{path}"})
        before = now
        time.sleep(0.01)


def get_prompt(params):
    who = params.get("arguments", {}).get("who", "nobody")
    return {"messages": [{"role": "user", "content": {
        "type": "text", "text": f"{params['name']} {who}"}}]}


def complete(params):
    what = params["ref"].get("name", params["ref"].get("uri"))
    return {"completion": {"values": [f"{what} {params['argument']['value']}"], "total": 1}}


def set_level(params):
    global level  # pylint: disable=global-statement
    level = params["level"]
    return {}


METHODS = {"initialize": lambda id, params: initialize(params), "tools/call": call,
           "tools/list": lambda id, params: list_tools(params), "ping": lambda id, params: {},
           "resources/list": lambda id, params: {"resources": RESOURCES},
           "resources/templates/list": lambda id, params: {"resourceTemplates": TEMPLATES},
           "prompts/list": lambda id, params: {"prompts": PROMPTS},
           "resources/read": lambda id, params: read(params),
           "resources/subscribe": lambda id, params: subscribe(params),
           "resources/unsubscribe": lambda id, params: unsubscribe(params),
           "prompts/get": lambda id, params: get_prompt(params),
           "completion/complete": lambda id, params: complete(params),
           "logging/setLevel": lambda id, params: set_level(params)}


def answer(message):
    id, params = message["id"], message.get("params", {})
    cancelled[id] = threading.Event()
    try:
        if message["method"] not in METHODS:
            raise Refusal({"code": -32601, "message": "Method not found"})
        result = METHODS[message["method"]](id, params)
        if result is not None:
            # As the TypeScript SDK orders them; the Python one writes the id first.
            send({"result": result, "id": id} if id % 2 else {"id": id, "result": result})
        while after:
            after.pop()()
    except Refusal as refusal:
        send({"id": id, "error": refusal.args[0]})


def take(message):
    if "method" not in message:
        asked[message["id"]][1] = message
        asked[message["id"]][0].set()
    elif "id" in message:
        threading.Thread(target=answer, args=(message,), daemon=True).start()
    elif message["method"] == "notifications/cancelled":
        cancelled[message["params"]["requestId"]].set()


def main():
    if MOOD == "dies" or (MOOD == "flaky" and not os.path.exists("FLAKY")):
        print("Traceback: no such luck", file=sys.stderr)
        sys.exit(3)
    if MOOD == "slow":
        time.sleep(2)
    if MOOD == "noisy":
        print("Welcome!\n\n{\n" + "x" * 100000, flush=True)
    if "SERVER_FILE" in os.environ:
        threading.Thread(target=watch_file, args=(os.environ["SERVER_FILE"],), daemon=True).start()
    for line in sys.stdin:
        if MOOD != "silent":
            take(json.loads(line))
    # The end of the input is the end of the server.
    if MOOD == "tidy":
        time.sleep(0.5)
        append("TIDY", "ended")


main()
