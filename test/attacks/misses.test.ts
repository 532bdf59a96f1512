import { describe, expect, test } from 'vitest';

import { isVerified } from 'keyverify';

import { build, crosswise, during, getsIn, lab, letIn, madeUp, newcomer, settleIn, sleep, startServer } from './lab.js';
import { GOOD_PREFIX, type Fault } from './server.js';

/** Answers so many questions a second about keys that are not good; the others fail, and count all the same. */
function limited(perSecond: number, fault: Fault): (isMiss: boolean) => Fault | undefined {
  let misses: number[] = [];
  return (isMiss) => {
    if (!isMiss) return undefined;
    const now = performance.now();
    misses = [...misses.filter((at) => at > now - 1_000), now];
    return misses.length > perSecond ? fault : undefined;
  };
}

const ROWS = [
  { shed: '503', perSecond: 5, fault: { status: 503 } },
  { shed: '503', perSecond: 20, fault: { status: 503 } },
  { shed: 'a reset', perSecond: 20, fault: 'reset' },
] as const satisfies readonly { readonly shed: string; readonly perSecond: number; readonly fault: Fault }[];

/** Callers with good new keys come so rarely that in between nobody is answered but them. */
const RARELY_MS = 3_000;
/** After two of them, the control questions between them show that it is no outage. */
const LEARNT_MS = 2 * RARELY_MS;
/** Until then they may wait for two probes: the flood's last questions count against the first. */
const PROBED_MS = 4_000;
const MS = 4 * RARELY_MS;

describe.concurrent(
  'a flood at a server that limits how many unknown keys it is asked about, and answers good ones',
  () => {
    test.for(crosswise(ROWS))(
      'to $perSecond a second, by $shed; $way, failOpen: $failOpen',
      async ({ options, perSecond, fault }, context) => {
        const { server, verifier } = await lab(context, { ...options, cacheTtlMs: 1_000 });
        const limit = limited(perSecond, fault);
        const revoked = newcomer();
        await verifier.verify(revoked);
        server.revoke(revoked);
        server.fault = (key) => limit(!key.startsWith(GOOD_PREFIX) || key === revoked);
        const startedAt = performance.now();
        const timed = async (key: string) => ({
          isLate: performance.now() - startedAt > LEARNT_MS,
          result: await verifier.verify(key),
        });
        const [flood, uses, newcomers] = await Promise.all([
          during(MS, 16, async () => await timed(madeUp())),
          during(MS, 50, async () => await timed(revoked)),
          during(MS, RARELY_MS, async () => {
            const isLearnt = performance.now() - startedAt > LEARNT_MS;
            return await getsIn(verifier, newcomer(), isLearnt ? undefined : PROBED_MS);
          }),
        ]);
        const late = (all: typeof flood) => letIn(all.filter(({ isLate }) => isLate).map(({ result }) => result));
        expect({ flood: late(flood), revoked: late(uses) }).toEqual({ flood: {}, revoked: {} });
        expect(newcomers).toEqual(newcomers.map(() => true));
      },
    );
  },
);

describe.concurrent(
  'a flood at a server that answers unknown keys no more after twenty, while known keys are in use',
  () => {
    const FAULTS = [
      { stops: 'hangs', fault: 'hang' },
      { stops: 'answers 503', fault: { status: 503 } },
    ] as const satisfies readonly { readonly stops: string; readonly fault: Fault }[];
    /** Good keys as well: on some the server fails, and they are presented all the time. */
    const failing = (): readonly string[] => Array.from({ length: 4 }, newcomer);
    const TTL_MS = 6_000;

    test.for(crosswise(FAULTS))('it $stops; $way, failOpen: $failOpen', async ({ options, fault }, context) => {
      const { server, verifier } = await lab(context, { ...options, cacheTtlMs: TTL_MS });
      const [poison, known, revoked] = [failing(), Array.from({ length: 5 }, newcomer), newcomer()];
      for (const key of [...poison, ...known, revoked]) await verifier.verify(key);
      server.revoke(revoked);
      const isPoison = new Set(poison);
      let unknown = 0;
      server.fault = (key) => {
        if (isPoison.has(key)) return fault;
        return !key.startsWith(GOOD_PREFIX) && ++unknown > 20 ? fault : undefined;
      };
      const startedAt = performance.now();
      const timed = async (key: string) => ({ ms: performance.now() - startedAt, result: await verifier.verify(key) });
      const ms = 2 * TTL_MS + 2_000;
      let use = 0;
      const [burst, flood, , uses, users] = await Promise.all([
        Promise.all(Array.from({ length: 40 }, async () => await timed(madeUp()))),
        during(ms, 100, async () => await timed(madeUp())),
        during(ms, 5, async () => (await Promise.all(poison.map(async (key) => await verifier.verify(key)))).at(-1)),
        during(ms, 100, async () => await timed(revoked)),
        during(ms, 200, async () => await verifier.verify(known[use++ % known.length] ?? '')),
      ]);
      const after = (all: readonly (typeof burst)[number][], fromMs: number) =>
        letIn(all.filter((each) => each.ms > fromMs).map(({ result }) => result));
      expect(after([...burst, ...flood], PROBED_MS)).toEqual({});
      expect(after(uses, 2 * TTL_MS)).toEqual({});
      expect(users.filter((result) => !result.valid)).toEqual([]);
    });
  },
);

describe.concurrent(
  'a flood at a server that hangs on unknown keys beyond ten a second, while known keys are in use',
  () => {
    test.for(crosswise([{}]).map((row) => ({ ...row, options: { ...row.options, failOpen: true } })))(
      'opens once at most; $way',
      async ({ options }, context) => {
        const { server, verifier } = await lab(context, { ...options, cacheTtlMs: 3_000 });
        const known = Array.from({ length: 5 }, newcomer);
        for (const key of known) await verifier.verify(key);
        const limit = limited(10, 'hang');
        server.fault = (key) => limit(!key.startsWith(GOOD_PREFIX));
        const startedAt = performance.now();
        const timed = async () => ({ at: performance.now() - startedAt, result: await verifier.verify(madeUp()) });
        let use = 0;
        const [flood, users] = await Promise.all([
          during(16_000, 16, timed),
          during(16_000, 50, async () => await verifier.verify(known[use++ % known.length] ?? '')),
        ]);
        expect(letIn(flood.filter(({ at }) => at > 8_000).map(({ result }) => result))).toEqual({});
        expect(users.filter((result) => !result.valid)).toEqual([]);
      },
    );
  },
);

describe.concurrent(
  'keys that were good and are blocked now, presented all the time beside a single good one, after an outage',
  () => {
    const BLOCKED = Array.from({ length: 40 }, newcomer);
    const OUTAGE_MS = 10_000;
    /** All are asked about, ten a second, and one probe. */
    const ROUND_MS = 5_500;

    test.for(crosswise([{}]).map((row) => ({ ...row, options: { ...row.options, failOpen: true } })))(
      'do not keep the breaker open; $way',
      async ({ options }, context) => {
        const { server, verifier } = await lab(context, options);
        const good = newcomer();
        for (const key of [...BLOCKED, good]) await verifier.verify(key);
        server.fault = () => 'reset';
        let use = 0;
        const startedAt = performance.now();
        const timed = async () => ({ at: performance.now() - startedAt, result: await verifier.verify(madeUp()) });
        const ms = OUTAGE_MS + 9_000;
        const [flood] = await Promise.all([
          during(ms, 25, timed),
          during(ms, 4, async () => await verifier.verify(BLOCKED[use++ % BLOCKED.length] ?? '')),
          during(ms, 700, async () => await verifier.verify(good)),
          sleep(OUTAGE_MS).then(() => {
            server.fault = (key) => (key === good ? undefined : { status: 503 });
          }),
        ]);
        const from = (ms: number) => letIn(flood.filter(({ at }) => at > ms).map(({ result }) => result));
        expect(from(0)).not.toEqual({});
        expect(from(OUTAGE_MS + ROUND_MS)).toEqual({});
      },
    );
  },
);

/** A service where nobody else is answered for a while, so that control questions that fail can open the breaker. */
const QUIET_MS = 6_000;

describe.concurrent('a flood at a server that fails on every key that it does not know, and answers good ones', () => {
  test.for(
    crosswise<{ readonly fails: string; readonly fault: Fault }>([
      { fails: 'answers 500', fault: { status: 500 } },
      { fails: 'resets', fault: 'reset' },
    ]),
  )('$fails, at a quiet service; $way, failOpen: $failOpen', async ({ fault, options }, context) => {
    const server = await startServer(context);
    server.fault = (key) => (key.startsWith(GOOD_PREFIX) ? undefined : fault);
    const verifier = build(context, server.url, options);
    await settleIn(verifier);
    const [flood, newcomers] = await Promise.all([
      during(QUIET_MS + 4_000, 10, async () => await verifier.verify(madeUp())),
      sleep(QUIET_MS).then(async () => await during(2_000, 500, async () => await getsIn(verifier, newcomer()))),
    ]);
    expect(letIn(flood)).toEqual({});
    expect(newcomers).toEqual(newcomers.map(() => true));
  });

  test.for(crosswise([{}]))(
    'hangs, at a quiet service: newcomers get in at the first call; $way, failOpen: $failOpen',
    async ({ options }, context) => {
      const server = await startServer(context);
      server.fault = (key) => (key.startsWith(GOOD_PREFIX) ? undefined : 'hang');
      const verifier = build(context, server.url, options);
      await settleIn(verifier);
      // How long an answer takes without a new connection is known.
      for (let asked = 0; asked < 100; asked++) await verifier.verify(newcomer());
      const [flood, newcomers] = await Promise.all([
        during(QUIET_MS + 4_000, 50, async () => await verifier.verify(madeUp())),
        sleep(QUIET_MS).then(async () => await during(4_000, 250, async () => await verifier.verify(newcomer()))),
      ]);
      expect(letIn(flood)).toEqual({});
      // Not every one: this machine may be as slow as the server that hangs.
      expect(newcomers.filter(isVerified).length).toBeGreaterThan(newcomers.length / 2);
    },
  );

  test.for(crosswise([{}]).map((row) => ({ ...row, options: { ...row.options, failOpen: true } })))(
    'answers 503, once it has answered twenty of them; $way',
    async ({ options }, context) => {
      const { server, verifier } = await lab(context, options);
      let answered = 0;
      server.fault = (key) => (key.startsWith(GOOD_PREFIX) || answered++ < 20 ? undefined : { status: 503 });
      const startedAt = performance.now();
      const timed = async () => ({ at: performance.now() - startedAt, result: await verifier.verify(madeUp()) });
      const [flood, newcomers] = await Promise.all([
        during(8_000, 10, timed),
        during(6_000, 1_000, async () => await getsIn(verifier, newcomer())),
      ]);
      expect(newcomers).toEqual(newcomers.map(() => true));
      expect(letIn(flood.filter(({ at }) => at > 5_000).map(({ result }) => result))).toEqual({});
    },
  );
});
