// TypeScript SDK clients that go on calling while somebody kills and stops what
// they talk to. Arguments: base URL, SDK version (v1 or v2), sessions. Ends at the
// end of its standard input and prints one JSON object, its account:
//
//	answered  calls answered right        refused   POSTs that were not accepted
//	lost      accepted calls without      repeats   answers that nobody waited for
//	          an answer, or with an error wrong     answers to something else
//	gaps      seconds between two answers of a session, where that took long
//
// Each session names itself by a key of its own and is never restarted.
import { setTimeout as sleep } from 'node:timers/promises';

const [base, version, sessions] = process.argv.slice(2);
const LANES = 2;          // calls in flight per session
const LONG_GAP_S = 0.5;

const { Client, SSEClientTransport } = version === 'v2' ?
	await import('@modelcontextprotocol/client') : {
		...await import('@modelcontextprotocol/sdk/client/index.js'),
		...await import('@modelcontextprotocol/sdk/client/sse.js'),
	};

const account = { answered: 0, refused: 0, lost: [], repeats: 0, wrong: [], gaps: [] };
let stopping = false;

async function lane(session, client, name) {
	for (let n = 0; !stopping; n++) {
		const text = `${name} call ${n}`;
		try {
			const result = await client.callTool(
				{ name: 'conformance_echo', arguments: { text } });
			const now = performance.now();
			const gap = (now - session.last) / 1000;

			if (gap > LONG_GAP_S)
				account.gaps.push(gap);
			session.last = now;
			if (result.isError || result.content[0].text !== text)
				account.wrong.push(`${text}: ${JSON.stringify(result)}`);
			else
				account.answered++;
		} catch (error) {
			// Until the 202 a call is the client's; these it may repeat.
			if (/POSTing|fetch failed|Not connected|HTTP 5/.test(error.message)) {
				account.refused++;
				await sleep(50);
			} else {
				account.lost.push(`${text}: ${error.message}`);
			}
		}
	}
}

async function run(n) {
	const key = `${version}-${n}`;
	const client = new Client({ name: key, version: '1.0.0' });
	const session = { last: performance.now() };

	client.onerror = (error) => {
		if (/unknown message ID/.test(error.message))
			account.repeats++;
	};
	await client.connect(new SSEClientTransport(new URL(`${base}/sse?client=${key}`)));
	await Promise.all(Array.from({ length: LANES },
		(_, i) => lane(session, client, `${key}/${i}`)));
	await client.close().catch(() => {});
}

const all = Array.from({ length: Number(sessions) }, (_, n) => run(n));
console.log('running');
process.stdin.resume();
process.stdin.on('end', () => { stopping = true; });
await Promise.all(all);
console.log(JSON.stringify(account));
process.exit(0);
