// Streamable HTTP in front of a system that speaks HTTP+SSE, for clients that know the
// former only: each of their sessions gets a stream of its own, messages pass untouched.
//
//	streamable.mjs <URL of the SSE endpoint>
//
// Prints "listening on <URL>" once it does.
import { randomUUID } from 'node:crypto';
import http from 'node:http';

import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

const upstream = process.argv[2];
const sessions = new Map();

const isRequest = (message) => message.method !== undefined && message.id !== undefined;
const complain = (error) => console.error(error.message);

async function open() {
	const id = randomUUID();
	const above = new SSEClientTransport(new URL(`${upstream}?client=${id}`));
	const below = new StreamableHTTPServerTransport({ sessionIdGenerator: () => id });
	let latest;
	below.onmessage = (message) => {
		if (isRequest(message))
			latest = message.id;
		above.send(message).catch(complain);
	};
	// SSE does not say which request a notification belongs to: the latest, here.
	above.onmessage = (message) => below.send(message,
		message.method === undefined ? {} : { relatedRequestId: latest }).catch(complain);
	await below.start();
	await above.start();
	sessions.set(id, below);
	return below;
}

const server = http.createServer(async (request, response) => {
	const id = request.headers['mcp-session-id'];
	const session = id === undefined ? await open() : sessions.get(id);
	if (session === undefined)
		response.writeHead(404).end();
	else
		await session.handleRequest(request, response);
});
server.listen(0, '127.0.0.1', () =>
	console.log(`listening on http://127.0.0.1:${server.address().port}/mcp`));
