import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { expect, test } from 'vitest';

import { ACME, GOOD, OTHER, breathe, rig } from '../helpers/rig.js';

const TTL = 300_000;
const THIRD = 'sk-third-0123456789abcdef';

setFlagsFromString('--expose-gc');
const collectGarbage: unknown = runInNewContext('gc');

test('a failure is let go of after its backoff: in a long outage, not every verdict holds one', async () => {
  const { server, clock, build } = await rig({ [GOOD]: ACME, [OTHER]: ACME, [THIRD]: ACME });
  const failures: WeakRef<object>[] = [];
  const verifier = build({
    retries: 0,
    breaker: false,
    observers: [{ onFailure: ({ failure }) => failures.push(new WeakRef(failure)) }],
  });
  for (const key of [GOOD, OTHER, THIRD]) await verifier.verify(key);
  await clock.advance(TTL);
  server.injectFault({ kind: 'status', status: 503 });
  for (const [key, maxAgeMs, pauseMs] of [
    [GOOD, undefined, 300],
    [OTHER, undefined, 0],
    // Asks in spite of the backoff, which begins anew.
    [GOOD, 0, 300],
    [GOOD, 0, 300],
    [THIRD, undefined, 0],
  ] as const) {
    await verifier.verify(key, { maxAgeMs });
    await clock.advance(pauseMs);
  }
  await breathe();
  if (typeof collectGarbage === 'function') Reflect.apply(collectGarbage, undefined, []);
  expect(failures.map((failure) => failure.deref() === undefined)).toEqual([true, true, true, false, false]);
});
