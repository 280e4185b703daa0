// What every JavaScript client does, whatever its library.
//
// A client script gives run() one function, open(url), that resolves to
//
//	list()           names of all tools, pages followed
//	call(name, args) { isError, text, structured }; rejects on a JSON-RPC error
//	close()
//
// and run() puts it through the same steps as scenario.py does for Python. The
// only argument is the server's base URL. Exit 0: all steps passed. The last
// line says how many calls were made and answered right.

import assert from 'node:assert/strict';

// Anything that a line-based SSE parser may take for a line's end (U+0085,
// U+2028, U+2029), what JSON must escape, and characters of 2, 3 and 4 bytes.
const TEXT =
	'Gr\u00fc\u00dfe, \uc138\uacc4, \u4e16\u754c, \u{1f30d}\u{1f469}\u200d\u{1f4bb}; ' +
	'quote " backslash \\ slash / newline \n return \r tab \t bell \u0007 ' +
	'nel \u0085 ls \u2028 ps \u2029 data: x\n\nevent: endpoint\n';
// Longer than a socket buffer's first segments and than one HTTP chunk.
const LONG_TEXT = '\uac00\ub098\ub2e4 abc \u{1f600} '.repeat(3000);

const CALCULATOR = ['add', 'subtract', 'multiply', 'divide'];

const sets = [
	{
		path: '/sse',
		calls: 100,
		calculator: (name) => `calculator_${name}`,
		echo: 'conformance_echo',
		absent: CALCULATOR,
	},
	{
		path: '/calculator/sse',
		calls: 20,
		calculator: (name) => name,
		echo: null,
		absent: ['calculator_add', 'conformance_echo', 'echo'],
	},
];

async function expectNumber(session, tool, a, b, expected) {
	const { isError, text, structured } = await session.call(tool, { a, b });
	const what = `${tool}(${a}, ${b})`;
	assert.ok(!isError, `${what} is an error: ${text}`);
	assert.equal(Number(text), expected, `${what} says "${text}"`);
	assert.deepEqual(structured, { result: expected },
		`${what} has structuredContent ${JSON.stringify(structured)}`);
}

async function expectEcho(session, tool, text) {
	const answer = await session.call(tool, { text });
	assert.ok(!answer.isError, `${tool} is an error: ${answer.text}`);
	assert.equal(answer.text, text, `${tool} changed its text`);
}

async function checkList(session, set) {
	const names = await session.list();
	const wanted = CALCULATOR.map(set.calculator);
	if (set.echo)
		wanted.push(set.echo);
	for (const name of wanted)
		assert.ok(names.includes(name), `no tool ${name} in [${names}]`);
	for (const name of set.absent)
		assert.ok(!names.includes(name), `tool ${name} does not belong on ${set.path}`);
	assert.equal(new Set(names).size, names.length, `a tool twice in [${names}]`);
}

async function checkDivisionByZero(session, set) {
	const tool = set.calculator('divide');
	const { isError, text } = await session.call(tool, { a: 1, b: 0 });
	assert.equal(isError, true, `${tool}(1, 0) is no error: ${text}`);
	assert.match(text, /zero/i);
}

// Some libraries hand a JSON-RPC error on as a rejection, some as a result with
// isError. Either way it must be about the tool: a timeout is not.
async function checkUnknownTool(session, set) {
	const tool = set.calculator('no_such_tool');
	const said = await session.call(tool, {}).then(
		({ isError, text }) => (isError ? text : `success: ${text}`),
		(error) => error.message);
	assert.match(said, /tool/i, `${tool}: ${said}`);
	assert.doesNotMatch(said, /^success|time[d ]*out/i, `${tool}: ${said}`);
}

// Call number i of a series; operands differ, so that an answer to another call
// never passes for this one's. Halves are exact in binary.
function numberedCall(session, set, i) {
	const a = i + 0.5;
	const b = 1000 + 3 * i;
	const kinds = [
		() => expectNumber(session, set.calculator('add'), a, b, a + b),
		() => expectNumber(session, set.calculator('subtract'), a, b, a - b),
		() => expectNumber(session, set.calculator('multiply'), a, b, a * b),
		() => expectNumber(session, set.calculator('divide'), a * 8, 8, a),
	];
	if (set.echo)
		kinds.push(() => expectEcho(session, set.echo, `${i} ${TEXT} ${i}`));
	return kinds[i % kinds.length]();
}

// Runs count jobs, at most width at a time; the first failure stops it.
async function inLanes(width, count, job) {
	let next = 0;
	const lane = async () => {
		while (next < count)
			await job(next++);
	};
	await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
}

async function checkSet(client, base, set) {
	const session = await client.open(base + set.path);
	let answered = 0;
	const step = async (what, work) => {
		await work;
		console.log(`${set.path}: ${what}`);
	};
	const user = {
		...session,
		async call(name, args) {
			const result = await session.call(name, args);
			answered++;
			return result;
		},
	};

	await step('tools listed', checkList(user, set));
	await step('2 + 3 = 5', expectNumber(user, set.calculator('add'), 2, 3, 5));
	if (set.echo) {
		await step('unicode echoed', expectEcho(user, set.echo, TEXT));
		await step('long text echoed', expectEcho(user, set.echo, LONG_TEXT));
	}
	await step('division by zero is a tool error', checkDivisionByZero(user, set));
	await step('an unknown tool is refused', checkUnknownTool(user, set));

	const [single, many] = client.widths ?? [1, 50];
	const half = set.calls / 2;
	await step(`${half} calls, ${single} at a time`,
		inLanes(single, half, (i) => numberedCall(user, set, i)));
	await step(`${half} calls, up to ${many} at a time`,
		inLanes(many, half, (i) => numberedCall(user, set, half + i)));
	await session.close();
	return answered;
}

// client: { open(url), widths? } where widths is how many calls are in flight
// in the first and in the second half of a series, [1, 50] when not given.
export async function run(client) {
	const base = process.argv[2];
	if (!base) {
		console.error(`usage: ${process.argv[1]} http://host:port`);
		process.exit(2);
	}
	try {
		let answered = 0;
		for (const set of sets)
			answered += await checkSet(client, base, set);
		console.log(`${answered} calls answered`);
		process.exit(0);
	} catch (error) {
		console.error(error.stack);
		const [reason] = error.message.split('\n');
		console.log(`FAILED: ${reason}`);
		process.exit(1);
	}
}

// The parts of a CallToolResult that the scenario looks at.
export function answer({ content = [], isError = false, structuredContent }) {
	return {
		isError,
		text: content.map((block) => block.text).join(''),
		structured: structuredContent,
	};
}

// Adapts a Client of either TypeScript SDK, or one of the same shape.
export function sdkSession(client) {
	return {
		async list() {
			const names = [];
			let cursor;
			do {
				const page = await client.listTools(cursor ? { cursor } : {});
				names.push(...page.tools.map((tool) => tool.name));
				cursor = page.nextCursor;
			} while (cursor);
			return names;
		},
		call: async (name, args) =>
			answer(await client.callTool({ name, arguments: args })),
		close: () => client.close(),
	};
}
