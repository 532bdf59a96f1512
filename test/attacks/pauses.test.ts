import { describe, expect, test } from 'vitest';

import { isVerified } from 'keyverify';

import { during, crosswise, everyWay, getsIn, lab, letIn, madeUp, newcomer, sleep } from './lab.js';
import type { LabServer } from './server.js';

/** How often the server is asked about keys of callers. */
const questions = (server: LabServer): number => server.asked.filter(({ key }) => key.startsWith('sk-')).length;

describe.concurrent('a Retry-After that says "now" is a pause all the same', () => {
  const ROWS = [
    { header: '0' },
    { header: 'Thu, 01 Jan 1970 00:00:00 GMT' },
    { header: new Date(Date.now() - 60_000).toUTCString() },
  ];
  test.for(crosswise(ROWS))('429 with Retry-After: $header; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, row.options);
    server.fault = () => ({ status: 429, headers: { 'retry-after': row.header } });
    const before = questions(server);
    const results = await during(1_000, 20, async () => await verifier.verify(madeUp()));
    expect(letIn(results)).toEqual({});
    // Of 50: those few that left before the first answer, and a trickle.
    expect(questions(server) - before).toBeLessThan(17);
  });
});

describe.concurrent('one key that is answered 429, asked about again and again', () => {
  const ROWS = [{ header: '30' }, { header: '1' }];
  test.for(crosswise(ROWS))(
    'keeps no newcomer out, Retry-After: $header; $way, failOpen: $failOpen',
    async ({ header, options }, context) => {
      const { server, verifier } = await lab(context, options);
      const limited = madeUp();
      server.fault = (key) => (key === limited ? { status: 429, headers: { 'retry-after': header } } : undefined);
      const attack = during(7_000, 10, async () => await verifier.verify(limited));
      const arrived = await during(5_000, 333, async () => await getsIn(verifier, newcomer()));
      expect(arrived).toEqual(arrived.map(() => true));
      expect(letIn(await attack)).toEqual({});
    },
  );
});

describe.concurrent(
  'five made-up keys a second that are answered 429, at the pace at which new keys are asked about',
  () => {
    test.for(crosswise([{}]))('keep no newcomer out; $way, failOpen: $failOpen', async ({ options }, context) => {
      const { server, verifier } = await lab(context, options);
      server.fault = (key) =>
        key.startsWith('sk-made-up-') ? { status: 429, headers: { 'retry-after': '30' } } : undefined;
      const attack = during(9_000, 203, async () => await verifier.verify(madeUp()));
      const arrived = await during(8_000, 1_000, async () => await getsIn(verifier, newcomer()));
      expect(arrived).toEqual(arrived.map(() => true));
      expect(letIn(await attack)).toEqual({});
    });
  },
);

describe.concurrent('one key that was good, is answered 429 and asked about each time', () => {
  const KNOWN = Array.from({ length: 10 }, newcomer);

  test.for(crosswise([{}]))('keeps no known key out; $way, failOpen: $failOpen', async ({ options }, context) => {
    const { server, verifier } = await lab(context, { ...options, cacheTtlMs: 2_000 });
    const limited = newcomer();
    for (const key of [...KNOWN, limited]) await verifier.verify(key);
    server.fault = (key) => (key === limited ? { status: 429, headers: { 'retry-after': '30' } } : undefined);
    const attack = during(12_000, 10, async () => await verifier.verify(limited, { maxAgeMs: 0 }));
    let use = 0;
    const used = await during(12_000, 100, async () => await verifier.verify(KNOWN[use++ % KNOWN.length] ?? ''));
    expect(used.filter((result) => !isVerified(result))).toEqual([]);
    expect(letIn(await attack)).toEqual({});
  });
});

/** A key server that limits each key to so many questions a second, and answers the others 429. */
function limitEach(server: LabServer, perSecond: number): void {
  const asked = new Map<string, number[]>();
  server.fault = (key) => {
    const now = performance.now();
    const times = (asked.get(key) ?? []).filter((at) => at > now - 1_000);
    if (times.length >= perSecond) return { status: 429, headers: { 'retry-after': '1' } };
    asked.set(key, [...times, now]);
    return undefined;
  };
}

describe.concurrent('known keys that are asked about each time lose nothing by the 429s of a key', () => {
  const ROWS = [
    {
      attack: 'a made-up one each second',
      headers: { 'cache-control': 'no-store' },
      maxAgeMs: undefined,
      everyMs: 1_000,
    },
    { attack: 'one over its limit', headers: { 'cache-control': 'no-cache' }, maxAgeMs: undefined, everyMs: 10 },
    { attack: 'one over its limit', headers: {}, maxAgeMs: 0, everyMs: 10 },
  ];
  test.for(crosswise(ROWS))(
    '$attack, $headers, maxAgeMs: $maxAgeMs; $way, failOpen: $failOpen',
    async ({ headers, maxAgeMs, everyMs, options }, context) => {
      const { server, verifier } = await lab(context, options);
      server.headers = headers;
      const own = newcomer();
      const known = Array.from({ length: 20 }, newcomer);
      const call = { maxAgeMs };
      for (const key of [own, ...known, own, ...known]) await verifier.verify(key, call);
      if (everyMs === 10) limitEach(server, 20);
      else server.fault = (key) => (key.startsWith('sk-made-up-') ? { status: 429 } : undefined);
      const attack = during(6_000, everyMs, async () => await verifier.verify(everyMs === 10 ? own : madeUp(), call));
      let use = 0;
      const used = await during(6_000, 25, async () => await verifier.verify(known[use++ % known.length] ?? '', call));
      expect(used.filter((result) => !isVerified(result))).toEqual([]);
      expect((await attack).some((result) => 'failure' in result && result.failure.kind === 'rate_limited')).toBe(true);
    },
  );
});

describe.concurrent('thirty keys that were good, are answered 429 and asked about all the time, during a pause', () => {
  const KNOWN = Array.from({ length: 10 }, newcomer);

  test.for(crosswise([{}]))(
    'keep no known key out for longer than 2 s; $way, failOpen: $failOpen',
    async ({ options }, context) => {
      const { server, verifier } = await lab(context, { ...options, cacheTtlMs: 4_000 });
      const limited = Array.from({ length: 30 }, newcomer);
      for (const key of [...limited, ...KNOWN]) await verifier.verify(key);
      const isLimited = new Set(limited);
      server.fault = (key) =>
        isLimited.has(key) || key.startsWith('sk-made-up-')
          ? { status: 429, headers: { 'retry-after': '30' } }
          : undefined;
      const ms = 16_000;
      const attacks = [
        during(ms, 1_000, async () => await verifier.verify(madeUp())),
        during(ms, 10, async () => (await Promise.all(limited.map(async (key) => await verifier.verify(key)))).at(-1)),
      ];
      let use = 0;
      const used = await during(ms - 2_000, 100, async () => await getsIn(verifier, KNOWN[use++ % KNOWN.length] ?? ''));
      expect(used.filter((gotIn) => !gotIn)).toEqual([]);
      await Promise.all(attacks);
    },
  );
});

describe.concurrent('one key that was good, hangs and is asked about each time, during a pause', () => {
  const KNOWN = Array.from({ length: 24 }, newcomer);

  test.for(crosswise([{}]))('keeps no known key out; $way, failOpen: $failOpen', async ({ options }, context) => {
    const { server, verifier } = await lab(context, { ...options, timeoutMs: 2_000 });
    const hanging = newcomer();
    for (const key of [...KNOWN, hanging]) await verifier.verify(key);
    server.fault = (key) => {
      if (key === hanging) return 'hang';
      return key.startsWith('sk-made-up-') ? { status: 429, headers: { 'retry-after': '30' } } : undefined;
    };
    const ms = 10_000;
    const attacks = [
      during(ms, 1_000 / 30, async () => await verifier.verify(madeUp())),
      during(ms, 4, async () => await verifier.verify(hanging, { maxAgeMs: 0 })),
    ];
    let use = 0;
    await sleep(1_500);
    const used = await during(ms - 1_500, 500, async () => {
      const key = KNOWN[use++ % KNOWN.length] ?? '';
      return await getsIn({ verify: async (text) => await verifier.verify(text, { maxAgeMs: 0 }) }, key);
    });
    expect(used.filter((gotIn) => !gotIn)).toEqual([]);
    expect(letIn((await Promise.all(attacks)).flat())).toEqual({});
  });
});

describe.concurrent('during a pause that made-up keys bring about', () => {
  const KNOWN = Array.from({ length: 10 }, newcomer);
  const LIMITED = { status: 429, headers: { 'retry-after': '1' } };

  /** Answers so many questions a second, whoever asks. */
  function bucket(perSecond: number): () => boolean {
    let tokens = perSecond;
    let filledAt = performance.now();
    return () => {
      const now = performance.now();
      tokens = Math.min(perSecond, tokens + ((now - filledAt) * perSecond) / 1_000);
      filledAt = now;
      if (tokens < 1) return false;
      tokens--;
      return true;
    };
  }
  const ROWS = [
    {
      what: 'at a server that limits the rate of all',
      madeUpEveryMs: 4,
      fault: () => {
        const hasToken = bucket(50);
        return () => (hasToken() ? undefined : LIMITED);
      },
    },
    {
      what: 'while every fifth question about them meets a bad backend',
      madeUpEveryMs: 20,
      fault: () => {
        let asked = 0;
        return (key: string) =>
          key.startsWith('sk-made-up-') ? LIMITED : ++asked % 5 === 0 ? { status: 503 } : undefined;
      },
    },
    {
      what: 'beside twelve good keys that are answered slowly and asked about all the time',
      madeUpEveryMs: 20,
      own: Array.from({ length: 12 }, () => `${newcomer()}-slow`),
      fault: () => (key: string) =>
        key.startsWith('sk-made-up-') ? LIMITED : key.endsWith('-slow') ? { slowMs: 1_800 } : undefined,
    },
  ];
  test.for(crosswise(ROWS))(
    'no known key is kept out for longer than 2 s, $what; $way, failOpen: $failOpen',
    async ({ options, madeUpEveryMs, own = [], fault }, context) => {
      const { server, verifier } = await lab(context, { ...options, cacheTtlMs: 2_000, timeoutMs: 2_000 });
      await Promise.all([...own, ...KNOWN].map(async (key) => await verifier.verify(key)));
      server.fault = fault();
      const ms = 12_000;
      let asked = 0;
      const attacks = [
        during(ms, madeUpEveryMs, async () => await verifier.verify(madeUp())),
        during(
          own.length && ms,
          4,
          async () => await verifier.verify(own[asked++ % own.length] ?? '', { maxAgeMs: 0 }),
        ),
      ];
      // Each of them calls twice a second, and takes no for an answer.
      const rounds = await during(
        ms,
        500,
        async () => await Promise.all(KNOWN.map(async (key) => isVerified(await verifier.verify(key)))),
      );
      const out = KNOWN.map((_, key) => rounds.map((round) => (round[key] === true ? ' ' : 'x')).join(''));
      expect(out.filter((calls) => calls.includes('xxxxx'))).toEqual([]);
      await Promise.all(attacks);
    },
  );
});

describe.concurrent('a 503 with Retry-After: 20', () => {
  test.for(everyWay([{}]))('keeps the breaker quiet; $way, failOpen: $failOpen', async (row, context) => {
    const breaker = { failureThreshold: 3, openMs: 20, maxOpenMs: 20 };
    const { server, verifier } = await lab(context, { ...row.options, breaker });
    server.fault = () => ({ status: 503, headers: { 'retry-after': '20' } });
    for (let i = 0; i < 10; i++) await verifier.verify(madeUp());
    expect(verifier.stats().breaker).not.toBe('closed');
    const before = server.asked.length;
    await during(2_000, 20, async () => await verifier.verify(madeUp()));
    // A control question a second and a trickle, where 100 keys were presented.
    expect(server.asked.length - before).toBeLessThan(17);
  });
});

describe.concurrent('a status that may be repeated', () => {
  const ROWS = [{ status: 408 }, { status: 421 }, { status: 425 }];

  test.for(crosswise(ROWS))(
    '$status is asked again; $way, failOpen: $failOpen',
    async ({ status, options }, context) => {
      const { server, verifier } = await lab(context, { ...options, retries: 1 });
      const met = new Set<string>();
      server.fault = (key) => {
        if (met.has(key)) return undefined;
        met.add(key);
        return { status };
      };
      expect(await verifier.verify(newcomer())).toMatchObject({ valid: true, client: 'acme', source: 'server' });
      expect(letIn([await verifier.verify(madeUp())])).toEqual({});
    },
  );

  test.for(crosswise(ROWS))(
    '$status for all does not open; $way, failOpen: $failOpen',
    async ({ status, options }, context) => {
      const { server, verifier } = await lab(context, options);
      server.fault = () => ({ status });
      expect(letIn(await during(1_000, 50, async () => await verifier.verify(madeUp())))).toEqual({});
    },
  );
});

describe.concurrent('a limit on one key (`rate_limited`)', () => {
  const LIMITED = { body: { valid: false, reason: 'rate_limited' } };

  test.for(everyWay([{}]))('is not remembered; $way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, { ...row.options, rejectedTtlMs: 60_000 });
    const key = newcomer();
    server.verdicts.set(key, LIMITED);
    expect(await verifier.verify(key)).toMatchObject({ valid: false });
    server.verdicts.delete(key);
    expect(await getsIn(verifier, key)).toBe(true);
  });

  test.for(everyWay([{}]))(
    'does not cost an identity in an outage; $way, failOpen: $failOpen',
    async (row, context) => {
      const bounds = { cacheTtlMs: 200, rejectedTtlMs: 60_000, refreshAheadRatio: 1 };
      const { server, verifier } = await lab(context, { ...row.options, ...bounds });
      const known = newcomer();
      const unknown = newcomer();
      expect(await verifier.verify(known)).toMatchObject({ valid: true, client: 'acme' });
      await sleep(250);
      for (const key of [known, unknown]) {
        server.verdicts.set(key, LIMITED);
        expect(await verifier.verify(key)).toMatchObject({ valid: false });
      }
      server.fault = () => ({ status: 503 });
      for (let i = 0; i < 8; i++) await verifier.verify(madeUp());

      expect(await verifier.verify(known)).toMatchObject({ valid: true, client: 'acme', source: 'stale' });
      expect(await verifier.verify(unknown)).not.toMatchObject({ reason: 'rate_limited' });
    },
  );
});
