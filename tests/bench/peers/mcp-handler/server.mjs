// mcp-handler's SSE transport over Redis with one echo tool. mcp-handler expects
// a framework that speaks Request and Response; this is the least Node server
// that gives it both. Any process takes any session's POST.
//
// REDIS_URL names the Redis. Prints {"url": ..., "pid": ...} once it listens.
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { createMcpHandler } from "mcp-handler";
import { z } from "zod";

// A stream's greatest age in seconds: longer than any run.
const MAX_DURATION_S = 3600;

const handler = createMcpHandler(
	(server) => {
		server.registerTool(
			"echo",
			{ description: "Returns its text", inputSchema: { text: z.string() } },
			async ({ text }) => ({ content: [{ type: "text", text }] }),
		);
	},
	{ serverInfo: { name: "bench-echo", version: "1.0.0" } },
	{ redisUrl: process.env.REDIS_URL, basePath: "", maxDuration: MAX_DURATION_S },
);

async function readBody(req) {
	const parts = [];

	for await (const part of req) parts.push(part);
	return Buffer.concat(parts);
}

async function toRequest(req, signal) {
	const body = req.method === "POST" ? await readBody(req) : undefined;

	return new Request(`http://${req.headers.host}${req.url}`, {
		method: req.method,
		headers: req.headers,
		body,
		signal,
	});
}

async function serve(req, res) {
	const gone = new AbortController();

	res.on("close", () => gone.abort());
	const response = await handler(await toRequest(req, gone.signal));
	res.writeHead(response.status, Object.fromEntries(response.headers));
	res.flushHeaders();
	if (response.body === null) {
		res.end();
		return;
	}
	Readable.fromWeb(response.body).on("error", () => res.destroy()).pipe(res);
}

const listener = createServer((req, res) => {
	serve(req, res).catch(() => {
		if (!res.headersSent) res.writeHead(500);
		res.end();
	});
});

listener.listen(0, "127.0.0.1", () => {
	const { port } = listener.address();

	console.log(JSON.stringify({
		url: `http://127.0.0.1:${port}`,
		pid: process.pid,
	}));
});
