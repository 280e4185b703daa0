// @ai-sdk/mcp: createMCPClient with its own SSE transport.
import { createMCPClient } from '@ai-sdk/mcp';
import { run, sdkSession } from './scenario.mjs';

await run({
	async open(url) {
		const client = await createMCPClient({
			clientName: 'interop-ai-sdk',
			transport: { type: 'sse', url },
		});
		return sdkSession({
			listTools: (params) => client.listTools({ params }),
			callTool: (call) => client.callTool(call),
			close: () => client.close(),
		});
	},
});
