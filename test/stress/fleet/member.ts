import { Redis } from 'ioredis';

import { KeyVerifier } from 'keyverify';
import { redisCache, redisRevocations } from 'keyverify/redis';
import { sseRevocations } from 'keyverify/sse';

/** What a process of the fleet is told, and what it says. */
export interface Watch {
  readonly key: string;
}
export interface Seen {
  readonly key: string;
  readonly status: string;
  readonly at: number;
}

const [, , verifyUrl = '', port = '', way = 'redis', pollMs = '1000'] = process.argv;
const redis = new Redis(Number(port), '127.0.0.1', { retryStrategy: () => 50, maxRetriesPerRequest: 1 });
redis.on('error', () => undefined);
const send = async (command: [string, ...string[]]): Promise<unknown> => await redis.call(...command);
const verifier = new KeyVerifier({
  verifyUrl,
  serviceToken: 'service-token',
  sharedCache: redisCache({ send, secret: 'a-secret-of-at-least-thirty-two-characters' }),
  revocations: way === 'redis' ? redisRevocations({ send, pollMs: Number(pollMs) }) : sseRevocations(),
});
await verifier.warmUp();

let watched = '';
let last = '';
async function look(): Promise<void> {
  if (watched !== '') {
    const key = watched;
    const { status } = await verifier.verify(key);
    if (key === watched && `${key} ${status}` !== last) {
      last = `${key} ${status}`;
      process.send?.({ key, status, at: Date.now() } satisfies Seen);
    }
  }
  setTimeout(() => void look(), 5);
}
void look();
process.on('message', ({ key }: Watch) => {
  watched = key;
});
process.once('disconnect', () => process.exit(0));
process.send?.({ key: '', status: 'ready', at: Date.now() } satisfies Seen);
