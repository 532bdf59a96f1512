import { expect, test } from 'vitest';

import { build, crosswise, letIn, newcomer, startServer } from './lab.js';
import { GOOD_PREFIX } from './server.js';

// No attack, but to a process that has just been started, every key is unknown.
test.for(crosswise([{}]))('1 000 good keys at once, at a fresh process; $way', async ({ options }, context) => {
  const server = await startServer(context);
  // So much that the speed of the machine is no matter.
  const verifier = build(context, server.url, { ...options, timeoutMs: 20_000 });
  const results = await Promise.all(Array.from({ length: 1_000 }, async () => await verifier.verify(newcomer())));
  expect(letIn(results)).toEqual({ server: 1_000 });
  expect(server.asked.filter(({ key }) => key.startsWith(GOOD_PREFIX))).toHaveLength(1_000);
});
