import fc from 'fast-check';
import { expect, test } from 'vitest';

import { KeyVerifier, TransportError, type Clock, type Exchange, type Transport, type WireRequest } from 'keyverify';

import { testClock, type TestClock } from 'keyverify/testing';
import { Model, REJECTED_TTL, STALE, TTL, type OutageKind, type Truth } from './helpers/model.js';
import { brief } from './helpers/rig.js';

const RUNS = Number(process.env['KEYVERIFY_MODEL_RUNS'] ?? 10_000);
const KEYS = ['sk-key-0', 'sk-key-1', 'sk-key-2', 'sk-stranger'];

const key = fc.constantFrom(...KEYS);
/** Times around which something ends, and a millisecond to either side of them. */
const moment = fc
  .tuple(fc.constantFrom(1, 500, 1_000, REJECTED_TTL, TTL, STALE, TTL + STALE), fc.constantFrom(-1, 0, 1))
  .map(([ms, off]) => ms + off);

type Step =
  | { readonly do: 'verify'; readonly key: string; readonly maxAge: number | undefined }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'expire'; readonly key: string; readonly ms: number }
  | { readonly do: 'revoke' | 'restore' | 'invalidate' | 'invalidateTenant'; readonly key: string }
  | { readonly do: 'clear' | 'outage' | 'recovery' | 'hold' | 'land' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('verify' as const),
        key,
        maxAge: fc.option(moment, { nil: undefined, freq: 3 }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: moment }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('expire' as const), key, ms: moment }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constantFrom('revoke' as const, 'restore' as const, 'invalidate' as const, 'invalidateTenant' as const),
        key,
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constantFrom('clear' as const, 'outage' as const, 'recovery' as const, 'hold' as const, 'land' as const),
      }),
    },
  ),
  { minLength: 2, maxLength: 40 },
);

/** The key server in memory: ten thousand runs over sockets would take minutes. What it is asked now, it answers on landing. */
class HeldServer implements Transport {
  up = true;
  readonly #truth: ReadonlyMap<string, Truth>;
  readonly #clock: TestClock;
  readonly #kind: OutageKind;
  #held: (() => void)[] = [];

  constructor(truth: ReadonlyMap<string, Truth>, clock: TestClock, kind: OutageKind) {
    this.#truth = truth;
    this.#clock = clock;
    this.#kind = kind;
  }

  send({ body = '' }: WireRequest): Exchange {
    const { key } = JSON.parse(body) as { key: string };
    const reply = this.up ? this.#answer(key) : undefined;
    const response = new Promise<{ status: number; header: (name: string) => string | undefined; body: Uint8Array }>(
      (resolve, reject) => {
        this.#held.push(() => {
          if (reply === undefined) reject(new TransportError(this.#kind, 'keyverify: no answer'));
          else
            resolve({
              status: 200,
              header: (name) => (name === 'content-type' ? 'application/json' : undefined),
              body: reply,
            });
        });
      },
    );
    return { response, abort: () => undefined };
  }

  /** Lets the oldest question land; `false` if there is none. */
  land(): boolean {
    const land = this.#held.shift();
    land?.();
    return land !== undefined;
  }

  #answer(key: string): Uint8Array {
    const { tenant, reason, expiresAt } = this.#truth.get(key) ?? {
      tenant: '',
      reason: 'unknown_key',
      expiresAt: undefined,
    };
    const ended = expiresAt !== undefined && expiresAt <= this.#clock.wall() ? 'expired' : undefined;
    const why = reason ?? ended;
    const expiry = expiresAt === undefined ? {} : { expires_at: new Date(expiresAt).toISOString() };
    const verdict = why === undefined ? { valid: true, client: 'c', tenant, ...expiry } : { valid: false, reason: why };
    return new TextEncoder().encode(JSON.stringify(verdict));
  }
}

/**
 * Without what runs in the background: to find that no event loop is late takes 50 timers for each second of an hour, and the
 * control questions that tell when the server is well again are none of the model's business.
 */
const prompt = ({ wall, monotonic, after }: TestClock): Clock => ({
  wall,
  monotonic,
  after: (ms, run, background) => (background === true ? () => undefined : after(ms, run)),
});

async function run(script: readonly Step[], kind: OutageKind): Promise<void> {
  const clock = testClock();
  const truth = new Map<string, Truth>(
    KEYS.slice(0, 3).map((name, i) => [name, { tenant: `tenant-${i % 2}`, reason: undefined, expiresAt: undefined }]),
  );
  const server = new HeldServer(truth, clock, kind);
  const model = new Model(truth, kind);
  model.now = clock.wall();
  const verifier = new KeyVerifier({
    verifyUrl: 'http://localhost/',
    serviceToken: 'token',
    transport: server,
    clock: prompt(clock),
    random: () => 0,
    failOpen: true,
    breaker: false,
    retries: 0,
    refreshAheadRatio: 1,
    timeoutMs: 2 ** 31 - 1,
    maxEntries: 10,
    maxRejectedEntries: 10,
    logger: { warn: () => undefined },
  });
  const said: string[] = [];
  const meant: string[] = [];
  let hold = false;

  for (const [i, step] of script.entries()) {
    const fate = 'key' in step ? truth.get(step.key) : undefined;
    switch (step.do) {
      case 'verify': {
        const maxAgeMs = step.maxAge;
        void verifier.verify(step.key, { maxAgeMs }).then((result) => (said[i] = brief(result)));
        model.verify(step.key, maxAgeMs, (word) => (meant[i] = word));
        break;
      }
      case 'advance':
        await clock.advance(step.ms);
        model.now += step.ms;
        break;
      case 'expire':
        if (fate !== undefined) fate.expiresAt = clock.wall() + step.ms;
        break;
      case 'revoke':
        if (fate !== undefined) fate.reason = 'revoked';
        break;
      case 'restore':
        if (fate !== undefined) Object.assign(fate, { reason: undefined, expiresAt: undefined });
        break;
      case 'invalidate':
        verifier.invalidate({ key: step.key });
        model.invalidate(step.key);
        break;
      case 'invalidateTenant':
        verifier.invalidate({ tenant: fate?.tenant ?? 'nobody' });
        model.invalidateTenant(fate?.tenant ?? 'nobody');
        break;
      case 'clear':
        verifier.clear();
        model.clear();
        break;
      case 'outage':
      case 'recovery':
        server.up = model.up = step.do === 'recovery';
        break;
      case 'hold':
      case 'land':
        hold = step.do === 'hold';
    }
    await settled();
    if (!hold) await land(server, model);
  }
  await land(server, model);
  expect(said).toEqual(meant);
}

/** One at a time: which of two answers that come in together is heard first is nobody's promise. */
async function land(server: HeldServer, model: Model): Promise<void> {
  while (server.land()) {
    model.land();
    await settled();
  }
}

/** Everything that only waits for promises has happened after this. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** A life takes 8 ms on an idle machine. This ends one that hangs, not one on a busy machine. */
const LIFE_MS = 60;

test(`the verifier does what the model does, in ${RUNS} random lives`, { timeout: RUNS * LIFE_MS }, async () => {
  await fc.assert(fc.asyncProperty(steps, fc.constantFrom('misconfigured' as const, 'overloaded' as const), run), {
    numRuns: RUNS,
  });
});
