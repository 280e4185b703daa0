// TypeScript SDK v2: Client over SSEClientTransport. With "auto" as the second
// argument it first asks for the stateless revision by server/discover, and
// falls back to initialize when that is refused.
import { Client, SSEClientTransport } from '@modelcontextprotocol/client';
import { run, sdkSession } from './scenario.mjs';

const mode = process.argv[3] ?? 'legacy';

await run({
	async open(url) {
		const client = new Client(
			{ name: 'interop-ts-v2', version: '1.0.0' },
			{ versionNegotiation: { mode, probe: { timeoutMs: 5000 } } });
		await client.connect(new SSEClientTransport(new URL(url)));
		return sdkSession(client);
	},
});
