// The TypeScript SDK's SSE server with one echo tool, set up as in the SDK's own
// examples: sessions live in this process.
//
// Prints {"url": ..., "pid": ...} once it listens.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { SSEServerTransport } from "@modelcontextprotocol/sdk/server/sse.js";
import express from "express";
import { z } from "zod";

const transports = new Map();

function createServer() {
	const server = new McpServer({ name: "bench-echo", version: "1.0.0" });

	server.registerTool(
		"echo",
		{ description: "Returns its text", inputSchema: { text: z.string() } },
		async ({ text }) => ({ content: [{ type: "text", text }] }),
	);
	return server;
}

const app = express();
app.use(express.json({ limit: "4mb" }));

app.get("/sse", async (_req, res) => {
	const transport = new SSEServerTransport("/messages", res);

	transports.set(transport.sessionId, transport);
	res.on("close", () => transports.delete(transport.sessionId));
	await createServer().connect(transport);
});

app.post("/messages", async (req, res) => {
	const transport = transports.get(req.query.sessionId);

	if (transport === undefined) {
		res.status(404).send("Session not found");
		return;
	}
	await transport.handlePostMessage(req, res, req.body);
});

const listener = app.listen(0, "127.0.0.1", () => {
	const { port } = listener.address();

	console.log(JSON.stringify({
		url: `http://127.0.0.1:${port}`,
		pid: process.pid,
	}));
});
