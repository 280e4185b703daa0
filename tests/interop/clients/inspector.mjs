// MCP Inspector's command line: a process, and so a session, for each call;
// 126 of them take the better part of a minute. A process costs a few hundred
// milliseconds of CPU, so only a few run at a time. Results come as a JSON
// object on standard output, errors on standard error. It lists the tools
// before each call, and refuses one that is not among them by itself.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { answer, run } from './scenario.mjs';

const SCRIPT = fileURLToPath(new URL(
	'../node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js',
	import.meta.url));
const TIMEOUT_MS = 60000;
const EXIT_TOOL_ERROR = 5;

// Resolves to the result, a tool error's included; rejects on any other error.
function inspect(url, ...args) {
	const all = [SCRIPT, '--cli', url, '--transport', 'sse', '--format', 'json', ...args];
	const options = { timeout: TIMEOUT_MS, maxBuffer: 16 << 20 };
	return new Promise((resolve, reject) => {
		execFile(process.execPath, all, options, (error, stdout, stderr) => {
			if (!error || error.code === EXIT_TOOL_ERROR && stdout)
				resolve(JSON.parse(stdout).result);
			else
				reject(new Error(`exit ${error.code}: ${stderr || error.message}`));
		});
	});
}

await run({
	widths: [2, 4],
	async open(url) {
		return {
			async list() {
				const { tools } = await inspect(url, '--method', 'tools/list');
				return tools.map((tool) => tool.name);
			},
			call: async (name, args) => answer(await inspect(url,
				'--method', 'tools/call', '--tool-name', name,
				'--tool-args-json', JSON.stringify(args))),
			async close() {},
		};
	},
});
