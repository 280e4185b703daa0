// One call that takes longer than the SDK's own 60 s timeout, kept alive by the
// progress that the worker reports: long_call.mjs URL v1|v2 DELAY_MS
import assert from 'node:assert/strict';

const [url, version, delay] = process.argv.slice(2);
const { Client, SSEClientTransport } = version === 'v2'
	? await import('@modelcontextprotocol/client')
	: {
		...await import('@modelcontextprotocol/sdk/client/index.js'),
		...await import('@modelcontextprotocol/sdk/client/sse.js'),
	};

const client = new Client({ name: 'long-call', version: '1.0.0' });
await client.connect(new SSEClientTransport(new URL(`${url}/sse`)));

const reports = [];
const options = {
	onprogress: (progress) => reports.push(progress.progress),
	resetTimeoutOnProgress: true,
};
const call = { name: 'conformance_sleep', arguments: { delay_ms: Number(delay) } };
const began = Date.now();
// The second parameter of v1 is a schema.
const result = await (version === 'v2'
	? client.callTool(call, options)
	: client.callTool(call, undefined, options));
const took = Date.now() - began;

assert.equal(result.content[0].text, 'slept');
assert.ok(took >= Number(delay), `done after ${took} ms`);
assert.ok(reports.length >= 2, `${reports.length} reports`);
assert.deepEqual(reports, [...reports].sort((a, b) => a - b));
assert.equal(new Set(reports).size, reports.length);
await client.close();
console.log(`answered after ${(took / 1000).toFixed(1)} s and ${reports.length} reports`);
process.exit(0);
