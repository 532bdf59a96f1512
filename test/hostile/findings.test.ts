import { expect, test } from 'vitest';

import { ACME, GOOD, brief, rig, until } from '../helpers/rig.js';

/** What the flood, the fault laboratory and reading with an evil eye found: each was red before it was mended. */

test('an answer that comes in after the end of the key does not let it in', async () => {
  const { server, clock, build } = await rig();
  const verifier = build({ retries: 0 });
  server.issue(GOOD, { ...ACME, expiresAt: clock.wall() + 500 });
  server.misbehave({ kind: 'delay', ms: 30 });
  const flying = verifier.verify(GOOD);
  await until(() => server.counts.inFlight === 1);
  await clock.advance(500);
  expect(brief(await flying)).toBe('rejected server expired');
  expect(brief(await verifier.verify(GOOD))).toBe('rejected cache expired');
});

test('nor does a schema that takes its time over the claims', async () => {
  const { server, clock, build } = await rig();
  let finish: (() => void) | undefined;
  const verifier = build({
    claims: {
      '~standard': {
        version: 1,
        vendor: 'test',
        async validate(value) {
          await new Promise<void>((resolve) => {
            finish = resolve;
          });
          return { value: value as Record<string, unknown> };
        },
      },
    },
  });
  server.issue(GOOD, { ...ACME, expiresAt: clock.wall() + 500 });
  const flying = verifier.verify(GOOD);
  await until(() => finish !== undefined);
  await clock.advance(500);
  finish?.();
  expect(brief(await flying)).toBe('rejected server expired');
});
