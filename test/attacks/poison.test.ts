import { randomUUID } from 'node:crypto';

import { Agent } from 'undici';
import { describe, expect, test } from 'vitest';

import type { Dispatcher } from 'keyverify';

import { REPELLED, besiege, crosswise, during, everyWay, lab, letIn, madeUp, newcomer } from './lab.js';
import type { Fault } from './server.js';

/** Shapes of keys that a server or a firewall in front of it may choke on. */
const SHAPES = {
  'longer than 2 048 bytes': { make: () => `sk-${randomUUID()}-`.padEnd(3_000, 'x'), is: /^.{2049}/ },
  'with a quote': { make: () => `sk-${randomUUID()}' OR 1=1`, is: /'/ },
  'beyond ASCII': { make: () => `sk-${randomUUID()}-é`, is: /[^ -~]/ },
  'with a certain prefix': { make: () => `sk-live-${randomUUID()}`, is: /^sk-live-/ },
} as const;

const FAULTS: readonly { readonly fails: string; readonly shape: keyof typeof SHAPES; readonly fault: Fault }[] = [
  { fails: 'answers 500', shape: 'longer than 2 048 bytes', fault: { status: 500 } },
  { fails: 'answers 500', shape: 'with a quote', fault: { status: 500 } },
  { fails: 'answers 502', shape: 'with a quote', fault: { status: 502 } },
  {
    fails: 'answers 503 with Retry-After',
    shape: 'beyond ASCII',
    fault: { status: 503, headers: { 'retry-after': '20' } },
  },
  { fails: 'answers 504', shape: 'with a certain prefix', fault: { status: 504 } },
  { fails: 'resets', shape: 'with a quote', fault: 'reset' },
  { fails: 'hangs up', shape: 'with a certain prefix', fault: 'close' },
  { fails: 'drops', shape: 'longer than 2 048 bytes', fault: 'hang' },
  { fails: 'breaks off', shape: 'beyond ASCII', fault: 'truncate' },
  { fails: 'answers 500 with a body that never ends', shape: 'with a quote', fault: endless(500) },
  { fails: 'answers 403 with a body that never ends', shape: 'beyond ASCII', fault: endless(403) },
  { fails: 'is slow', shape: 'with a certain prefix', fault: { slowMs: 1_500 } },
];

/** Sends the head of an answer and the beginning of its body, and no end. */
function endless(status: number): Fault {
  return (_answer, response) => void response.writeHead(status, { 'content-type': 'application/json' }).write(' ');
}

describe.concurrent('keys at which a healthy server fails', () => {
  test.for(crosswise(FAULTS))('$fails for keys $shape; $way, failOpen: $failOpen', async (row, context) => {
    const { make, is } = SHAPES[row.shape];
    const { server, verifier } = await lab(context, row.options);
    server.fault = (key) => (is.test(key) ? row.fault : undefined);

    // The first alone: it must not open for itself, either.
    expect(letIn([await verifier.verify(make())])).toEqual({});
    expect(await besiege(verifier, { ms: 1_000, key: make, everyMs: 50, burst: 8 })).toEqual(REPELLED);
  });

  // With the default timeout, 40 questions a second that hang need more slots than there are.
  test.for(crosswise([{}]))('dropped, with default settings; $way, failOpen: $failOpen', async (row, context) => {
    const { make, is } = SHAPES['with a quote'];
    const { server, verifier } = await lab(context, { ...row.options, timeoutMs: 2_000 });
    server.fault = (key) => (is.test(key) ? 'hang' : undefined);
    expect(await besiege(verifier, { ms: 2_500, key: make, everyMs: 25, burst: 8 })).toEqual(REPELLED);
  });
});

describe.concurrent('keys at which a healthy server fails, while nobody else asks', () => {
  const ALONE = { ms: 2_500, newcomers: false, others: false };

  test.for([true, false])('hangs, and a dispatcher has 4 connections; failOpen: %s', async (failOpen, context) => {
    const { make, is } = SHAPES['with a quote'];
    const dispatcher = new Agent({ connections: 4 });
    const { server, verifier } = await lab(context, { dispatcher: dispatcher satisfies Dispatcher, failOpen });
    server.fault = (key) => (is.test(key) ? 'hang' : undefined);
    expect(await besiege(verifier, { ...ALONE, key: make, everyMs: 5, burst: 36 })).toEqual(REPELLED);
  });
});

describe.concurrent('two kinds of such keys at once', () => {
  /** The first makes us ask less, the second holds what is left. */
  const PAIRS: readonly { readonly kinds: string; readonly faults: readonly [Fault, Fault] }[] = [
    { kinds: '503 and hang', faults: [{ status: 503 }, 'hang'] },
    {
      kinds: '503 with Retry-After and slow answers',
      faults: [{ status: 503, headers: { 'retry-after': '20' } }, { slowMs: 500 }],
    },
    { kinds: 'reset and hang', faults: ['reset', 'hang'] },
  ];

  // A hundred a second take a `fetch` more than a busy machine has.
  const table = everyWay(PAIRS).filter(({ way }) => way === 'the pool');
  test.for(table)('$kinds; $way, failOpen: $failOpen', async ({ faults, options }, context) => {
    const { server, verifier } = await lab(context, options);
    let turn = 0;
    const key = (): string => `sk-poison-${turn++ % 2}-${randomUUID()}`;
    server.fault = (asked) =>
      asked.startsWith('sk-poison-') ? faults[asked.startsWith('sk-poison-0') ? 0 : 1] : undefined;
    expect(await besiege(verifier, { ms: 2_000, key, everyMs: 10, burst: 60 })).toEqual(REPELLED);
  });
});

describe.concurrent('200 keys a second that a healthy server answers 503 with Retry-After: 1', () => {
  test.for(crosswise([{}]))('keep nobody out; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, { ...row.options, timeoutMs: 2_000 });
    const fault = { status: 503, headers: { 'retry-after': '1' } };
    server.fault = (key) => (key.startsWith('sk-poison-') ? fault : undefined);
    const key = (): string => `sk-poison-${randomUUID()}`;
    expect(await besiege(verifier, { ms: 2_500, key, everyMs: 5 })).toEqual(REPELLED);
  });
});

describe.concurrent('one caller whose many good keys are asked about all the time', () => {
  test.for(everyWay([{}]))('keeps nobody out; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, { ...row.options, timeoutMs: 2_000 });
    const own = Array.from({ length: 100 }, newcomer);
    await Promise.all(own.map(async (key) => await verifier.verify(key)));
    server.fault = () => ({ slowMs: 400 });
    let next = 0;
    const asking = during(3_000, 4, async () => await verifier.verify(own[next++ % own.length], { maxAgeMs: 0 }));
    expect(await besiege(verifier, { ms: 2_500, key: madeUp, everyMs: 500 })).toEqual(REPELLED);
    await asking;
  });
});
