// TypeScript SDK v1: Client over SSEClientTransport.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { run, sdkSession } from './scenario.mjs';

await run({
	async open(url) {
		const client = new Client({ name: 'interop-ts-v1', version: '1.0.0' });
		await client.connect(new SSEClientTransport(new URL(url)));
		return sdkSession(client);
	},
});
