import { randomUUID } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { REPELLED, besiege, crosswise, lab, letIn } from './lab.js';
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
  { fails: 'is slow', shape: 'with a certain prefix', fault: { slowMs: 1_500 } },
];

describe.concurrent('keys at which a healthy server fails', () => {
  test.for(crosswise(FAULTS))('$fails for keys $shape; $way, failOpen: $failOpen', async (row, context) => {
    const { make, is } = SHAPES[row.shape];
    const { server, verifier } = await lab(context, row.options);
    server.fault = (key) => (is.test(key) ? row.fault : undefined);

    // The first alone: it must not open for itself, either.
    expect(letIn([await verifier.verify(make())])).toEqual({});
    expect(await besiege(verifier, { ms: 1_000, key: make, everyMs: 50, burst: 8 })).toEqual(REPELLED);
  });

  // With the default time-out, 40 questions a second that hang need more slots than there are.
  test.for(crosswise([{}]))('dropped, with default settings; $way, failOpen: $failOpen', async (row, context) => {
    const { make, is } = SHAPES['with a quote'];
    const { server, verifier } = await lab(context, { ...row.options, timeoutMs: 2_000 });
    server.fault = (key) => (is.test(key) ? 'hang' : undefined);
    expect(await besiege(verifier, { ms: 2_500, key: make, everyMs: 25, burst: 8 })).toEqual(REPELLED);
  });
});
