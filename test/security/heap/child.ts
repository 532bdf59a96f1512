import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeHeapSnapshot } from 'node:v8';

import { KeyVerifier } from 'keyverify';

const [, , verifyUrl = '', seed = '', file = ''] = process.argv;

/** Made when it is needed, so that no source text and no argument holds it; in one piece, as a snapshot shows no joints. */
const canary = (name: string): string => Buffer.from(`sk-${hash('sha256', seed + name, 'hex')}`).toString('latin1');

const verifier = new KeyVerifier({
  verifyUrl,
  serviceToken: 'service-token-0123456789',
  timeoutMs: 1_500,
  breaker: false,
  keyFormat: /^sk-/,
  logger: { warn: () => undefined },
});
await verifier.warmUp();
const results: unknown[] = [];
for (const name of ['good', 'good', 'revoked', 'unknown', 'hung', 'reset', 'echoed', 'ended'])
  results.push(await verifier.verify(canary(name)));
verifier.peek(canary('peeked'));
verifier.invalidate({ key: canary('invalidated') });
await verifier
  .verify(canary('left'), { signal: AbortSignal.timeout(20) })
  .catch((error: unknown) => results.push(error));
results.push(await verifier.verify(`${canary('malformed')}\n`));
// One that is held, so that a search that finds nothing is known to search.
const held = canary('held');

// The one who left has a question in flight, and the connections their last request.
await sleep(500);
writeHeapSnapshot(file);
process.send?.({ results: results.length, held: held.length, entries: verifier.stats().entries });
await verifier.close();
process.disconnect();
