import { describe, expect, test } from 'vitest';

import { crosswise, during, getsIn, lab, letIn, madeUp, newcomer, sleep } from './lab.js';

describe.concurrent('75 keys a second that hang, where hardly anybody else asks', () => {
  const MS = 14_000;
  /** For so long, nobody else is answered at all. */
  const ALONE_MS = 4_000;

  test.for(crosswise([{}]))('$way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, { ...row.options, timeoutMs: 2_000 });
    server.fault = (key) => (key.startsWith('sk-made-up-') ? 'hang' : { slowMs: 20 });
    for (let answers = 0; answers < 10; answers++) await verifier.verify(newcomer());
    const flood = during(MS, 1_000 / 75, async () => await verifier.verify(madeUp()));
    await sleep(ALONE_MS);
    const newcomers = await during(MS - ALONE_MS, 1_000, async () => await getsIn(verifier, newcomer()));
    expect(newcomers.filter((gotIn) => !gotIn)).toEqual([]);
    expect(letIn(await flood)).toEqual({});
  });
});

describe.concurrent('30 keys a second that hang, beside five that are answered slowly', () => {
  test.for(crosswise([{}]))('$way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, { ...row.options, timeoutMs: 2_000 });
    server.fault = (key) => {
      if (key.startsWith('sk-made-up-')) return 'hang';
      return { slowMs: key.startsWith('sk-slow-') ? 1_200 : 20 };
    };
    const [flood, slow, newcomers] = await Promise.all([
      during(15_000, 1_000 / 30, async () => await verifier.verify(madeUp())),
      during(15_000, 200, async () => await verifier.verify(`sk-slow-${madeUp()}`)),
      during(15_000, 333, async () => await getsIn(verifier, newcomer())),
    ]);
    expect(newcomers.filter((gotIn) => !gotIn)).toEqual([]);
    expect(letIn([...flood, ...slow])).toEqual({});
  });
});

describe.concurrent('30 keys a second that hang, once two were answered 503', () => {
  test.for(crosswise([{}]))('$way, failOpen: $failOpen', async (row, context) => {
    const { server, verifier } = await lab(context, { ...row.options, timeoutMs: 2_000 });
    const refused = [madeUp(), madeUp()];
    server.fault = (key) =>
      refused.includes(key) ? { status: 503 } : key.startsWith('sk-made-up-') ? 'hang' : { slowMs: 20 };
    const results = await Promise.all(refused.map(async (key) => await verifier.verify(key)));
    const flood = during(1_800, 1_000 / 30, async () => await verifier.verify(madeUp()));
    await sleep(1_800);
    // A control question was answered after a second, so the server sheds no load. In the sixteen slots that were left until
    // then, 32 would be asked about.
    const hanging = server.asked.filter(({ key }) => key.startsWith('sk-made-up-') && !refused.includes(key));
    expect(new Set(hanging.map(({ key }) => key)).size).toBeGreaterThan(40);
    expect(letIn([...results, ...(await flood)])).toEqual({});
  });
});
