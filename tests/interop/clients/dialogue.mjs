// TypeScript SDK v1 in both directions: what tools tell and ask while they run,
// resources, prompts, completion, and what the server says by itself. The only
// argument is the server's base URL. Exit 0: all as it should be.
import assert from 'node:assert/strict';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import {
	CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema,
	LoggingMessageNotificationSchema, ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';

const DEADLINE_MS = 60000;
let queued = 0;
let streams = 0;

function countingFetch(url, init) {
	streams += (init?.method ?? 'GET') === 'GET';
	return fetch(url, init);
}

const client = new Client(
	{ name: 'interop-dialogue', version: '1.0.0' },
	{ capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } } });
const heard = { logs: [], updated: [] };

client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => ({
	role: 'assistant', model: 'none',
	content: { type: 'text', text: `heard ${params.messages[0].content.text}` },
}));
client.setRequestHandler(ElicitRequestSchema, () => ({
	action: 'accept', content: { response: 'forty-two' },
}));
client.setRequestHandler(ListRootsRequestSchema, () => ({
	roots: [{ uri: 'file:///work', name: 'work' }],
}));
client.setNotificationHandler(LoggingMessageNotificationSchema,
	({ params }) => void heard.logs.push(params));
client.setNotificationHandler(ResourceUpdatedNotificationSchema,
	({ params }) => void heard.updated.push(params.uri));

async function until(condition, what) {
	const deadline = Date.now() + DEADLINE_MS;
	while (!condition()) {
		assert.ok(Date.now() < deadline, `no ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}

function call(name, args = {}, options) {
	queued++;
	return client.callTool({ name: `conformance_test_${name}`, arguments: args },
		undefined, options);
}

async function text(...args) {
	const result = await call(...args);
	assert.ok(!result.isError, JSON.stringify(result));
	return result.content[0].text;
}

async function checkAsking() {
	assert.match(await text('sampling', { prompt: 'a prompt' }), /heard a prompt/);
	assert.match(await text('elicitation', { message: 'how many?' }), /forty-two/);
	assert.match(await text('roots'), /file:\/\/\/work/);
	const refused = await call('elicitation_url');
	assert.ok(refused.isError);
	assert.match(refused.content[0].text, /does not support elicitation by URLs/);
}

async function checkTelling() {
	const reports = [];
	await client.setLoggingLevel('debug');
	await text('tool_with_progress', {}, { onprogress: (p) => reports.push(p) });
	assert.deepEqual(reports.map((p) => [p.progress, p.total]), [[0, 100], [50, 100], [100, 100]]);
	await text('tool_with_logging');
	assert.equal(heard.logs.length, 6);
	assert.equal(heard.logs[1].data, 'Tool execution started');
}

async function checkContent() {
	const { content } = await call('multiple_content_types');
	assert.deepEqual(content.map((part) => part.type), ['text', 'image', 'resource']);
	const linked = await call('resource_link');
	assert.deepEqual(linked.structuredContent, { links: 1 });
}

async function read(uri) {
	queued++;
	return (await client.readResource({ uri })).contents;
}

async function checkResources() {
	const { resources } = await client.listResources();
	assert.ok(resources.some(({ uri }) => uri === 'test://static-text'));
	const { resourceTemplates } = await client.listResourceTemplates();
	assert.equal(resourceTemplates[0].uriTemplate, 'test://template/{id}/data');
	assert.match((await read('test://static-text'))[0].text, /static text resource/);
	assert.equal((await read('test://static-binary'))[0].mimeType, 'image/png');
	assert.equal(JSON.parse((await read('test://template/7/data'))[0].text).id, '7');
	await assert.rejects(client.readResource({ uri: 'test://nowhere' }), { code: -32002 });
	await client.subscribeResource({ uri: 'test://watched-resource' });
	await text('touch');
	await until(() => heard.updated.length > 0, 'update of the resource');
	await client.unsubscribeResource({ uri: 'test://watched-resource' });
	assert.deepEqual(heard.updated, ['test://watched-resource']);
}

async function checkPrompts() {
	const name = 'conformance_test_prompt_with_arguments';
	const { prompts } = await client.listPrompts();
	assert.ok(prompts.some((prompt) => prompt.name === name));
	queued += 2;
	const { messages } = await client.getPrompt({ name, arguments: { arg1: 'a', arg2: 'b' } });
	assert.equal(messages[0].content.text, "Prompt with arguments: arg1='a', arg2='b'");
	const { completion } = await client.complete({
		ref: { type: 'ref/resource', uri: 'test://template/{id}/data' },
		argument: { name: 'id', value: '14' },
	});
	assert.equal(completion.values[0], '14');
}

// The tool closes the stream; its answer is on the next one, which the SDK opens.
async function checkReconnection() {
	const before = streams;
	assert.match(await text('reconnection'), /properly reconnected/);
	assert.equal(streams, before + 1);
}

try {
	const url = new URL(`${process.argv[2]}/sse?client=interop-dialogue-${process.pid}`);
	await client.connect(new SSEClientTransport(url, { fetch: countingFetch }));
	for (const check of [checkAsking, checkTelling, checkContent, checkResources, checkPrompts,
		checkReconnection])
		await check();
	await client.close();
	console.log(`${queued} calls answered`);
	process.exit(0);
} catch (error) {
	console.log(`FAILED: ${error.stack ?? error}`);
	process.exit(1);
}
