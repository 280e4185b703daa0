// An MCP server directly and through the bridge: bridged.mjs PYTHON URL SERVER SCRIPT.
//
// A client of the TypeScript SDK on both, and what it sees must be equal: lists,
// results, errors, progress, log messages, what the server asks, what it says by
// itself. SCRIPT says what to do, as JSON.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import {
	CreateMessageRequestSchema, ElicitationCompleteNotificationSchema, ElicitRequestSchema,
	ListRootsRequestSchema, LoggingMessageNotificationSchema, ProgressNotificationSchema,
	ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';

const DEADLINE_MS = 60000;
const [python, url, server, scriptPath] = process.argv.slice(2);
const script = JSON.parse(await readFile(scriptPath, 'utf8'));

// A client that notes what it is asked and told.
function listener(heard) {
	const client = new Client({ name: 'interop-bridged', version: '1.0.0' }, {
		capabilities: { sampling: { tools: {} }, elicitation: { form: {}, url: {} }, roots: {} } });
	const note = (kind, { _meta, ...params } = {}) => heard.push([kind, params]);
	client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
		note('sampling', params);
		return { role: 'assistant', model: 'none', stopReason: 'endTurn',
			content: { type: 'text', text: 'heard' } };
	});
	client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
		note('elicitation', params);
		return { action: 'accept',
			...(params.mode === 'url' ? {} : { content: { name: 'Ada', seats: 3 } }) };
	});
	client.setRequestHandler(ListRootsRequestSchema, () => {
		note('roots');
		return { roots: [{ uri: 'file:///work', name: 'work' }] };
	});
	for (const schema of [LoggingMessageNotificationSchema, ResourceUpdatedNotificationSchema,
		ElicitationCompleteNotificationSchema])
		client.setNotificationHandler(schema, ({ method, params }) => note(method, params));
	// onprogress misses what arrives together with the answer: the SDK forgets it first.
	client.setNotificationHandler(ProgressNotificationSchema, ({ method, params }) => {
		const { progressToken, ...report } = params;
		note(method, report);
	});
	return client;
}

async function listed(list, member) {
	const found = [];
	let cursor;
	do {
		const page = await list(cursor && { cursor });
		found.push(...page[member]);
		cursor = page.nextCursor;
	} while (cursor);
	return found.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

// Hears of a change; once at least, for the bridge may say too much.
async function watch(client, heard, uri, tool) {
	const updates = () => new Set(heard.filter(([kind]) => kind.endsWith('updated'))
		.map(([, params]) => JSON.stringify(params)));
	await client.subscribeResource({ uri });
	await client.callTool({ name: tool, arguments: {} });
	const deadline = Date.now() + DEADLINE_MS;
	while (updates().size === 0) {
		assert.ok(Date.now() < deadline, 'no update');
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
	await client.unsubscribeResource({ uri });
	return [...updates()];
}

// All that a client sees of the server, part by part.
async function view(transport) {
	const heard = [];
	const client = listener(heard);
	await client.connect(transport);
	const parts = [];
	async function outcome(what, request) {
		const before = heard.length;
		const result = await request().catch(
			({ code, message, data }) => ({ code, message, data }));
		parts.push([what, result, heard.slice(before)]);
	}
	parts.push(['instructions', client.getInstructions()]);
	if (client.getServerCapabilities().logging)
		await client.setLoggingLevel('debug');
	parts.push(['tools', await listed((page) => client.listTools(page), 'tools')],
		['resources', await listed((page) => client.listResources(page), 'resources')],
		['templates', await listed((page) => client.listResourceTemplates(page),
			'resourceTemplates')],
		['prompts', await listed((page) => client.listPrompts(page), 'prompts')]);
	for (const [name, args] of script.calls)
		await outcome([name, args], () => client.callTool(
			{ name, arguments: args }, undefined, { onprogress() {} }));
	for (const uri of script.reads)
		await outcome(uri, () => client.readResource({ uri }));
	for (const [name, args] of script.prompts)
		await outcome([name, args], () => client.getPrompt({ name, arguments: args }));
	for (const [ref, argument] of script.completions)
		await outcome([ref, argument], () => client.complete({ ref, argument }));
	if (script.watches)
		parts.push(['updates', await watch(client, heard, ...script.watches)]);
	await client.close();
	return parts;
}

try {
	const direct = await view(new StdioClientTransport({
		command: python, args: [server], env: process.env }));
	const bridged = await view(new SSEClientTransport(new URL(url)));
	assert.equal(bridged.length, direct.length);
	direct.forEach((part, i) => assert.deepEqual(bridged[i], part, `${part[0]}:\n  directly  ${
		JSON.stringify(part)}\n  bridged   ${JSON.stringify(bridged[i])}`));
	console.log(`${direct.length} parts are the same`);
	process.exit(0);
} catch (error) {
	console.log(`FAILED: ${error.message ?? error}`);
	process.exit(1);
}
