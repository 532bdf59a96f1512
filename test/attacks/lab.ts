import { randomUUID } from 'node:crypto';
import type { ServerOptions } from 'node:https';

import type { TestContext } from 'vitest';

import { KeyVerifier, isVerified, type KeyVerifierOptions, type VerifyResult } from 'keyverify';

import { TOKEN } from '../helpers/rig.js';
import { GOOD_PREFIX, LabServer } from './server.js';
import { Witness } from './witness.js';

/** The beginning of the made-up keys that the library asks about on its own account. */
export const CONTROL = 'keyverify-control-';

/** How soon a good newcomer gets in, whatever an attacker does. */
const NEWCOMER_MS = 2_000;

/** What a busy machine may add to a bound. */
export const SLACK_MS = 250;

/** The transports that every attack runs against, with `failOpen` off and on. */
export const WAYS = [
  { way: 'the pool', options: {} },
  { way: 'fetch', options: { fetch: globalThis.fetch } },
].flatMap(({ way, options }) =>
  [false, true].map((failOpen) => ({ way, failOpen, options: { ...options, failOpen } })),
);

/** Every row against every transport, with `failOpen` off and on. */
export function everyWay<Row extends object>(rows: readonly Row[]) {
  return rows.flatMap((row) => WAYS.map((way) => ({ ...row, ...way })));
}

/** Every row against both transports, once with `failOpen` off and once with it on; the next row the other way round. */
export function crosswise<Row extends object>(rows: readonly Row[]) {
  return rows.flatMap((row, i) =>
    WAYS.filter(({ way, failOpen }) => (way === 'fetch') === (failOpen === (i % 2 === 0))).map((way) => ({
      ...row,
      ...way,
    })),
  );
}

/** An unlimited supply of keys that the server takes for good, and of keys that it doesn't know. */
export const newcomer = (): string => GOOD_PREFIX + randomUUID();
export const madeUp = (): string => `sk-made-up-${randomUUID()}`;

export const sleep = async (ms: number): Promise<void> => await new Promise((resolve) => setTimeout(resolve, ms));

type Options = KeyVerifierOptions<boolean>;
type Result = VerifyResult<unknown, boolean>;
type Test = Pick<TestContext, 'onTestFinished'>;

/** What each verifier asks. */
const servers = new WeakMap<KeyVerifier<boolean>, { readonly url: string; readonly timeoutMs: number }>();

export async function startServer(test: Test, tls?: ServerOptions, port?: number): Promise<LabServer> {
  const server = new LabServer(tls);
  await server.start(port);
  test.onTestFinished(async () => await server.stop());
  return server;
}

export function build(test: Test, verifyUrl: string, options: Options): KeyVerifier<boolean> {
  const timeoutMs = options.timeoutMs ?? 1_000;
  const verifier = new KeyVerifier<boolean>({
    verifyUrl,
    serviceToken: TOKEN,
    logger: { warn: () => undefined },
    ...options,
    timeoutMs,
  });
  servers.set(verifier, { url: verifyUrl, timeoutMs });
  test.onTestFinished(async () => await verifier.close());
  return verifier;
}

/** A server and a verifier to which it has already given a verdict. */
export async function lab(
  test: Test,
  options: Options,
): Promise<{ server: LabServer; verifier: KeyVerifier<boolean> }> {
  const server = await startServer(test);
  const verifier = build(test, server.url, options);
  await settleIn(verifier);
  return { server, verifier };
}

/** Lets a verifier get to know its server: the first verdict, and a moment for what it asks on its own account. */
export async function settleIn(verifier: KeyVerifier<boolean>): Promise<void> {
  if (!(await getsIn(verifier, newcomer()))) throw new Error('the server is healthy and the key is good');
  await sleep(150);
}

/** Starts `act` every so often, without waiting for one to end before the next; resolves at the end, when all are done. */
export async function during<T>(ms: number, everyMs: number, act: () => T | Promise<T>): Promise<T[]> {
  const started: (T | Promise<T>)[] = [];
  const end = performance.now() + ms;
  for (let next = performance.now(); next < end; next += everyMs) {
    await sleep(Math.max(0, next - performance.now()));
    started.push(act());
  }
  while (performance.now() < end) await sleep(end - performance.now());
  return await Promise.all(started);
}

const TICK_MS = 10;
let livedMs = 0;
let tickedAt = performance.now();
setInterval(() => {
  const now = performance.now();
  livedMs += Math.min(now - tickedAt, 2 * TICK_MS);
  tickedAt = now;
}, TICK_MS).unref();

/** Time as this process lives it: while it lacks a processor, nobody can be answered. */
const lived = (): number => livedMs;

/** Whether a caller with this key who tries again and again is known by name in time. */
export async function getsIn(
  verifier: { verify: (key: string) => Promise<Result> },
  key: string,
  ms = NEWCOMER_MS,
): Promise<boolean> {
  const end = lived() + ms;
  do {
    if (isVerified(await verifier.verify(key))) return lived() < end + SLACK_MS;
    await sleep(50);
  } while (lived() < end);
  return false;
}

interface Siege {
  readonly ms: number;
  /** The attacker's next key. */
  readonly key: () => string;
  readonly everyMs: number;
  /** How many keys the attacker presents at once to begin with. */
  readonly burst?: number;
  /** Whether good newcomers come meanwhile, and others with made-up keys. Default: `true`. */
  readonly newcomers?: boolean;
  readonly others?: boolean;
}

/** What an attack has come to: nobody let in, nobody locked out, and the breaker closed all the time. */
export const REPELLED = { letIn: {}, lockedOut: 0, breaker: ['closed'] };

/**
 * Attacks, while others present made-up keys and good newcomers keep coming. What happens while the server answers nobody, not
 * even a client of its own kind, doesn't count: on a machine that is too busy there is an outage that no caller caused.
 */
export async function besiege(
  verifier: KeyVerifier<boolean>,
  { ms, key, everyMs, burst = 0, newcomers: come = true, others: ask = true }: Siege,
) {
  const { url, timeoutMs } = servers.get(verifier) ?? { url: '', timeoutMs: 0 };
  const witness = new Witness(url, timeoutMs);
  const verify = async (key: string) => await witness.attend(async () => await verifier.verify(key));
  const [first, rest, others, newcomers, breaker] = await Promise.all([
    Promise.all(Array.from({ length: burst }, async () => await verify(key()))),
    during(ms, everyMs, async () => await verify(key())),
    ask ? during(ms, 100, async () => await verify(madeUp())) : [],
    come ? during(ms, 300, async () => await witness.attend(async () => await getsIn(verifier, newcomer()))) : [],
    during(ms, 20, async () => await witness.attend(() => verifier.stats().breaker)),
  ]).finally(() => witness.stop());
  const states = witness.attested(breaker);
  if (states.length < breaker.length / 2)
    throw new Error('the server answered nobody for most of the attack, which proves nothing: the machine is too busy');
  return {
    letIn: letIn(witness.attested([...first, ...rest, ...others])),
    lockedOut: witness.attested(newcomers).filter((gotIn) => !gotIn).length,
    breaker: [...new Set(states)],
  };
}

/** How many were let in, by why. */
export function letIn(results: readonly Result[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const result of results) {
    if (!result.valid) continue;
    const why = result.source === 'fail-open' ? `fail-open: ${result.failure.kind}` : result.source;
    counts[why] = (counts[why] ?? 0) + 1;
  }
  return counts;
}
