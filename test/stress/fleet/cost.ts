import { Redis } from 'ioredis';

import { KeyVerifier, type Exchange, type Transport } from 'keyverify';
import { redisCache } from 'keyverify/redis';

import { RedisServer } from '../../helpers/redis-server.js';

/** What a shared hit costs, compared with a bare GET through the same client, and a miss with a store that is frozen. */
export async function measureCosts(rounds: number): Promise<Record<string, number>> {
  const server = await RedisServer.start();
  const redis = new Redis(server.port, '127.0.0.1');
  try {
    const send = async (command: [string, ...string[]]): Promise<unknown> => await redis.call(...command);
    const secret = 'a-secret-of-at-least-thirty-two-characters';
    const cacheOf = () => redisCache({ send, secret });
    const options = { verifyUrl: 'http://127.0.0.1/', serviceToken: 'token', transport: instant, retries: 0 };
    const keys = Array.from({ length: rounds }, (_, i) => `sk-shared-${i}`);
    const writer = new KeyVerifier({ ...options, sharedCache: cacheOf(), sharedTimeoutMs: 1_000 });
    for (let i = 0; i < keys.length; i += 50)
      await Promise.all(keys.slice(i, i + 50).map(async (key) => await writer.verify(key)));
    await writer.close();
    await redis.set('bare', 'x'.repeat(380));
    const reader = new KeyVerifier({ ...options, sharedCache: cacheOf(), sharedTimeoutMs: 1_000 });
    const alone = new KeyVerifier(options);
    const [gets, hits] = [new Costs(), new Costs()];
    // Forwards and backwards in turns, so that a machine that speeds up or slows down affects both alike.
    for (let i = 0; i < rounds; i += 50) {
      const some = keys.slice(i, i + 50);
      await gets.measure(some.length, async () => await redis.get('bare'));
      let n = 0;
      await hits.measure(some.length, async () => await reader.verify(some[n++]));
    }
    const sources = reader.stats().results;
    server.freeze();
    for (let i = 0; i < 5; i++) await reader.verify(`sk-frozen-${i}`);
    const [frozen, without] = [new Costs(), new Costs()];
    for (let i = 0; i < rounds; i += 50) {
      let [n, m] = [0, 0];
      await without.measure(50, async () => await alone.verify(`sk-miss-${i + n++}`));
      await frozen.measure(50, async () => await reader.verify(`sk-miss-${i + m++}`));
    }
    server.thaw();
    return {
      'shared hits measured': sources.shared,
      'GET, µs': gets.wall,
      'shared hit, µs': hits.wall,
      'shared hit / GET': hits.wall / gets.wall,
      'CPU of a shared hit beyond that of a GET, µs': hits.cpu - gets.cpu,
      'miss without a shared cache, µs': without.wall,
      'miss with a frozen one, breaker open, µs': frozen.wall,
      'frozen / without': frozen.wall / without.wall,
    };
  } finally {
    redis.disconnect();
    await server.close();
  }
}

const BODY = new TextEncoder().encode('{"valid":true,"client":"acme","tenant":"cust-A","key_id":"key_1","plan":"pro"}');
const instant: Transport = {
  send(): Exchange {
    const header = (name: string): string | undefined => (name === 'content-type' ? 'application/json' : undefined);
    return { response: Promise.resolve({ status: 200, header, body: BODY }), abort: () => undefined };
  },
};

/** Medians of the means of the later batches, in microseconds: in the first half, V8 compiles. */
class Costs {
  readonly #walls: number[] = [];
  readonly #cpus: number[] = [];

  async measure(count: number, run: () => Promise<unknown>): Promise<void> {
    const [startedAt, cpu] = [performance.now(), process.cpuUsage()];
    for (let i = 0; i < count; i++) await run();
    const { user, system } = process.cpuUsage(cpu);
    this.#walls.push(((performance.now() - startedAt) * 1000) / count);
    this.#cpus.push((user + system) / count);
  }

  get wall(): number {
    return median(this.#walls.slice(this.#walls.length >> 1));
  }

  get cpu(): number {
    return median(this.#cpus.slice(this.#cpus.length >> 1));
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
