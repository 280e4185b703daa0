// A bridge as desktop hosts start it: a child process that speaks MCP on its
// standard input and output, one JSON message a line, and SSE to the server.
// The bridge's name is the second argument.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { fileURLToPath } from 'node:url';
import { run, sdkSession } from './scenario.mjs';

const bridges = {
	'mcp-remote': (url) => [
		'mcp-remote/dist/proxy.js', url, '--transport', 'sse-only', '--allow-http',
	],
	supergateway: (url) => [
		'supergateway/dist/index.js', '--sse', url, '--logLevel', 'none',
	],
};

const command = bridges[process.argv[3]];
if (!command)
	throw new Error(`no bridge "${process.argv[3]}": ${Object.keys(bridges)}`);

await run({
	async open(url) {
		const [script, ...args] = command(url);
		const path = new URL(`../node_modules/${script}`, import.meta.url);
		const transport = new StdioClientTransport({
			command: process.execPath,
			args: [fileURLToPath(path), ...args],
			env: process.env,
			stderr: 'inherit',
		});
		const client = new Client({ name: 'interop-bridge', version: '1.0.0' });
		await client.connect(transport);
		return sdkSession(client);
	},
});
