import { Agent } from 'undici';
import { describe, expect, test, type TestContext } from 'vitest';

import { Authority } from '../helpers/authority.js';
import { Chance } from '../helpers/chance.js';
import { Proxy } from '../stress/chaos/proxy.js';
import {
  CONTROL,
  REPELLED,
  besiege,
  build,
  crosswise,
  everyWay,
  lab,
  letIn,
  madeUp,
  newcomer,
  settleIn,
  sleep,
  startServer,
} from './lab.js';
import { GOOD_PREFIX, type Fault, type LabServer } from './server.js';

/** Long enough that 0.3 of it is more than what a busy machine adds. */
const LONG_MS = 2_000;

interface Row {
  readonly partly: string;
  /** How the server fails to answer some of the questions. */
  readonly fault: () => (key: string) => Fault | undefined;
  readonly timeoutMs?: number;
}

/** A balancer hands out requests in turn, and one backend of three is dead. Bad luck twice over would prove nothing. */
const everyThird = (fault: Fault) => (): ((key: string) => Fault | undefined) => {
  const unlucky = new Set<string>();
  let turn = 0;
  return (key) => {
    if (turn++ % 3 !== 0 || unlucky.has(key)) return undefined;
    if (key.startsWith(GOOD_PREFIX)) unlucky.add(key);
    return fault;
  };
};

function random(seed: number): () => Fault | undefined {
  const chance = new Chance(seed);
  return () => (chance.in(3) ? chance.of<Fault>([{ status: 503 }, { status: 500 }, 'reset', 'close']) : undefined);
}

const IN_TURN: readonly Row[] = [
  { partly: 'every third is answered 502', fault: everyThird({ status: 502 }) },
  { partly: 'every third is reset', fault: everyThird('reset') },
  { partly: 'every third hangs', fault: everyThird('hang') },
  {
    partly: 'unknown keys are answered 500',
    fault: () => (key) => (key.startsWith(GOOD_PREFIX) ? undefined : { status: 500 }),
  },
  { partly: 'answers take 0.7 of timeoutMs', fault: () => () => ({ slowMs: 0.7 * LONG_MS }), timeoutMs: LONG_MS },
];

const ROWS: readonly Row[] = [...IN_TURN, { partly: 'a third fails at random', fault: () => random(1) }];

/** One that no longer answers its control question may be out for all that anybody can tell. */
const BREAKING = ROWS.filter(({ partly }) => partly !== 'unknown keys are answered 500');

const KEPT_OUT = { letIn: {}, lockedOut: 0 };
const SIEGE = { ms: 2_000, key: madeUp, everyMs: 100, burst: 4 };

const outcome = async (verifier: ReturnType<typeof build>) => {
  const { letIn, lockedOut } = await besiege(verifier, SIEGE);
  return { letIn, lockedOut };
};

/** One that fails in part already when the verifier gets to know it. */
async function flaky(context: TestContext, row: Row, options: object) {
  const server = await startServer(context);
  server.fault = row.fault();
  const verifier = build(context, server.url, { timeoutMs: row.timeoutMs, ...options });
  await settleIn(verifier);
  return { server, verifier };
}

describe.concurrent('a server that fails in part', () => {
  test.for(crosswise(ROWS))('$partly; $way, failOpen: $failOpen', async (row, context) => {
    const { verifier } = await flaky(context, row, { ...row.options, retries: 1 });
    expect(await outcome(verifier)).toEqual(KEPT_OUT);
  });

  test.for(crosswise(BREAKING))('healthy at first, then $partly; $way, failOpen: $failOpen', async (row, context) => {
    const server = await startServer(context);
    const verifier = build(context, server.url, { timeoutMs: row.timeoutMs, ...row.options, retries: 1 });
    await settleIn(verifier);
    server.fault = row.fault();
    expect(await outcome(verifier)).toEqual(KEPT_OUT);
  });

  // Nobody else asks, so nobody else is answered.
  test.for(crosswise(IN_TURN))(
    '$partly, with only the attacker asking; $way, failOpen: $failOpen',
    async (row, context) => {
      const { verifier } = await flaky(context, row, { ...row.options, retries: 1 });
      expect(letIn(await inSequence(2_000, async () => await verifier.verify(madeUp())))).toEqual({});
    },
  );

  test.for(everyWay([{}]))(
    'one backend of three hangs, and an attacker sends keys that the others answer 500; $way, failOpen: $failOpen',
    async (row, context) => {
      const { server, verifier } = await lab(context, row.options);
      const turns = everyThird('hang')();
      // Keys of the attacker's that hang would prove nothing: they are as slow as the control question.
      server.fault = (key) => (key.startsWith(CONTROL) ? turns(key) : { status: 500 });
      const siege = { ms: 5_000, key: madeUp, everyMs: 100, others: false, newcomers: false };
      expect(await besiege(verifier, siege)).toEqual(REPELLED);
    },
  );

  test.for(everyWay([{}]))(
    'a dead backend behind a balancer of connections; $way, failOpen: $failOpen',
    async (row, context) => {
      const backends = await Promise.all([startServer(context), startServer(context), startServer(context)]);
      for (const backend of backends) backend.headers = { connection: 'close' };
      const proxy = new Proxy(backends.map(({ port }) => port));
      const port = await proxy.start();
      context.onTestFinished(() => proxy.close());
      const verifier = build(context, urlAt(backends[0], port), { ...row.options, retries: 1 });
      await settleIn(verifier);
      await backends[2].stop();
      expect(await outcome(verifier)).toEqual(KEPT_OUT);
    },
  );
});

describe.concurrent('a dead backend of three over TLS, with a connection for each request', () => {
  const authority = new Authority();
  const identity = authority.issue('IP:127.0.0.1');

  test.for(everyWay([{}]))('$way, failOpen: $failOpen', async ({ way, failOpen }, context) => {
    const server = await startServer(context, identity);
    server.headers = { connection: 'close' };
    const dispatcher = new Agent({ connect: { ca: authority.cert } });
    context.onTestFinished(async () => await dispatcher.destroy());
    const trusting = async (url: string, init: object) => await fetch(url, { ...init, dispatcher } as RequestInit);
    const transport = way === 'fetch' ? { fetch: trusting } : { dispatcher };
    const verifier = build(context, server.url, { ...transport, failOpen, retries: 1 });
    await settleIn(verifier);
    server.fault = everyThird('close')();
    const statuses: string[] = [];
    for (let i = 0; i < 30; i++) statuses.push((await verifier.verify(newcomer())).status);
    expect(statuses.filter((status) => status !== 'verified')).toEqual([]);
    expect(letIn(await inSequence(500, async () => await verifier.verify(madeUp())))).toEqual({});
  });
});

const urlAt = (server: LabServer, port: number): string => server.url.replace(String(server.port), String(port));

/** Each after the one before. */
async function inSequence<T>(ms: number, act: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (const end = performance.now() + ms; performance.now() < end;) {
    results.push(await act());
    await sleep(10);
  }
  return results;
}

const LOST: readonly { readonly how: string; readonly fault: Fault }[] = [
  { how: 'answers 500', fault: { status: 500 } },
  { how: 'answers 502', fault: { status: 502 } },
  { how: 'resets', fault: 'reset' },
  { how: 'swallows everything, as a firewall does', fault: 'hang' },
];

// Only a transport of ours keeps a connection for control questions.
describe.concurrent('one dead backend of three behind a balancer that passes connections on', () => {
  test.for(everyWay([{}]).filter(({ way }) => way === 'the pool'))(
    'while nobody asks but an attacker, whose keys hang; failOpen: $failOpen',
    async ({ options }, context) => {
      const backends = await Promise.all([startServer(context), startServer(context), startServer(context)]);
      for (const backend of backends) backend.fault = (key) => (key.startsWith('sk-hang-') ? 'hang' : undefined);
      const proxy = new Proxy(backends.map(({ port }) => port));
      const port = await proxy.start();
      context.onTestFinished(() => proxy.close());
      const verifier = build(context, urlAt(backends[0], port), options);
      // The first verdict and the first control question open a connection each, to backends that stay.
      await settleIn(verifier);
      await verifier.verify(madeUp());
      await sleep(1_250);
      backends[2].fault = () => 'hang';
      const siege = { ms: 8_000, key: () => `sk-hang-${madeUp()}`, everyMs: 250, others: false, newcomers: false };
      expect(await besiege(verifier, siege)).toEqual(REPELLED);
    },
  );
});

describe.concurrent('the backend that all idle connections lead to', () => {
  test.for(everyWay(LOST).filter(({ way }) => way === 'the pool'))(
    '$how, while a new connection leads to another; failOpen: $failOpen',
    async ({ fault, options }, context) => {
      const { server, verifier } = await lab(context, options);
      // Several connections.
      await Promise.all(Array.from({ length: 6 }, async () => await verifier.verify(madeUp())));
      server.loseBackend(fault);
      expect(await besiege(verifier, { ms: 1_500, key: madeUp, everyMs: 100 })).toEqual(REPELLED);
    },
  );
});
