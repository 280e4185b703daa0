// TypeScript SDK clients that go on calling while somebody kills and stops what
// they talk to. Arguments: base URL, SDK version (v1 or v2), sessions. Ends at the
// end of its standard input and prints one JSON object, its account:
//
//	calls     every POST of a call: { session, id, tool, nonce, status }, where
//	          no status says that the connection broke
//	answers   every response heard: { session, id, text } or { session, id, error }
//	gets      statuses of GETs after the first of each session
//	failed    calls that the SDK gave up although their POST was accepted
//	repeats   answers heard once more: { session, id, trace }
//	gaps      times between two answers of a session, where that took long:
//	          { session, seconds, trace }, the trace being what the transport
//	          did meanwhile, where it took very long
//
// Each session names itself by a key of its own and is never restarted. Every
// second call is not safe to repeat.
import { setTimeout as sleep } from 'node:timers/promises';

const [base, version, sessions] = process.argv.slice(2);
const LANES = 2;          // calls in flight per session
const PAUSE_MS = 40;      // between a lane's calls
const LONG_GAP_S = 0.5;
const TRACED_GAP_S = 4.5;
const TRACE_MAX = 400;

const { Client, SSEClientTransport } = version === 'v2' ?
	await import('@modelcontextprotocol/client') : {
		...await import('@modelcontextprotocol/sdk/client/index.js'),
		...await import('@modelcontextprotocol/sdk/client/sse.js'),
	};

const running = [];
const account = { calls: [], answers: [], gets: [], failed: [], repeats: [],
	gaps: [] };
let stopping = false;

function note(session, what) {
	session.trace.push({ at: performance.now(), what });
	if (session.trace.length > TRACE_MAX)
		session.trace.shift();
}

// What happened since then, in seconds up to now.
function traceSince(session, then) {
	const now = performance.now();

	return session.trace.filter(({ at }) => at >= then)
		.map(({ at, what }) => `${((at - now) / 1000).toFixed(3)} ${what}`);
}

function noteAnswer(session) {
	const now = performance.now(), seconds = (now - session.last) / 1000;

	if (seconds > LONG_GAP_S)
		account.gaps.push({ session: session.key, seconds, trace: seconds < TRACED_GAP_S ?
			[] : traceSince(session, session.last - 500) });
	session.last = now;
}

// The POST of a call, as it goes into the account; its status comes later.
function callOf(session, init) {
	const message = init?.body && JSON.parse(init.body);
	const { name, arguments: args } = message?.params ?? {};

	if (message?.method !== 'tools/call')
		return undefined;
	return { session: session.key, id: message.id, tool: name, nonce: args.nonce ?? args.text };
}

// fetch that keeps account of what was sent and what came of it.
function watched(session) {
	return async (url, init) => {
		const call = callOf(session, init);
		const what = `${init?.method ?? 'GET'} ${call?.id ?? new URL(url).pathname}`;

		if (call)
			account.calls.push(call);
		note(session, `${what} sent`);
		try {
			const response = await fetch(url, init);

			note(session, `${what} answered ${response.status}`);
			if (call)
				call.status = response.status;
			else if (init?.method !== 'POST' && session.streams++ > 0)
				account.gets.push(response.status);
			return response;
		} catch (error) {
			note(session, `${what} failed: ${error.cause?.code ?? error.message}`);
			throw error;
		}
	};
}

function hear(session, message) {
	if (message.id === undefined || message.method !== undefined)
		return;
	note(session, `heard ${message.id}`);
	if (session.heard.has(message.id))
		account.repeats.push({ session: session.key, id: message.id,
			trace: traceSince(session, performance.now() - 15000)
				.filter((line) => /sse|error/.test(line) || line.endsWith(` ${message.id}`)) });
	session.heard.add(message.id);
	account.answers.push({ session: session.key, id: message.id, ...message.error ?
		{ error: message.error.message } :
		{ text: message.result.content?.[0].text } });
	noteAnswer(session);
}

async function lane(session, client, name) {
	for (let n = 0; !stopping; n++) {
		const nonce = `${name}/${n}`;
		const call = n % 2 === 0 ?
			{ name: 'conformance_echo', arguments: { text: nonce } } :
			{ name: 'conformance_ledger_append', arguments: { nonce, delay_ms: 10 } };

		try {
			await client.callTool(call);
			await sleep(PAUSE_MS);
		} catch (error) {
			// Until the 202 a call is the client's; these it may repeat.
			if (!/POSTing|fetch failed|Not connected|HTTP 5/.test(error.message))
				account.failed.push(`${nonce}: ${error.message}`);
			await sleep(50);
		}
	}
}

async function run(n) {
	const session = { key: `${version}-${n}`, last: performance.now(), trace: [], streams: 0,
		heard: new Set() };
	const client = new Client({ name: session.key, version: '1.0.0' });
	const transport = new SSEClientTransport(
		new URL(`${base}/sse?client=${session.key}`), { fetch: watched(session) });

	client.onerror = (error) => note(session, `error: ${error.message}`);
	await client.connect(transport);
	const onmessage = transport.onmessage;
	transport.onmessage = (message, ...rest) => {
		hear(session, message);
		onmessage(message, ...rest);
	};
	session.last = performance.now();
	running.push(session);
	await Promise.all(Array.from({ length: LANES },
		(_, i) => lane(session, client, `${session.key}/${i}`)));
	await client.close().catch(() => {});
}

const all = Array.from({ length: Number(sessions) }, (_, n) => run(n));
console.log('running');
process.stdin.on('data', () => {
	console.log(JSON.stringify(Object.fromEntries(
		running.map(({ key, heard }) => [key, heard.size]))));
});
process.stdin.on('end', () => { stopping = true; });
await Promise.all(all);
process.stdout.write(JSON.stringify(account), () => process.exit(0));
