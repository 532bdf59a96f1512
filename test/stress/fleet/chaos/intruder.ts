import type { Redis } from 'ioredis';

import type { Random } from '../../lib/random.js';

const STREAM = 'keyverify:revocations';
const GARBAGE = ['', 'x', '{"v":9}', '{"v":1,"type":"revoked","select":{}}', `{"v":1,"x":"${'y'.repeat(5_000)}"}`];

/** Somebody who can write to the Redis of the fleet. */
export class Intruder {
  readonly #redis: Redis;
  readonly #random: Random;
  readonly #kept: [string, string][] = [];

  constructor(redis: Redis, random: Random) {
    this.#redis = redis;
    this.#random = random;
  }

  /** Does something to an entry: what was there before, something of another, rubbish. Returns its name. */
  async tamper(): Promise<string> {
    const [, names] = await this.#redis.scan(0, 'MATCH', 'keyverify:v1:*', 'COUNT', 1_000);
    const entries = names.filter((name) => !name.endsWith(':lease'));
    const [name, other] = [this.#pick(entries), this.#pick(entries)];
    if (name === undefined || other === undefined) return 'nothing there';
    const value = (await this.#redis.get(name).catch(() => null)) ?? '';
    this.#kept.push([name, value]);
    if (this.#kept.length > 200) this.#kept.shift();
    const what = this.#random.pick(['replay', 'copy', 'flip', 'bytes', 'type', 'fence', 'delete'] as const);
    const [oldName, oldValue] = this.#pick(this.#kept) ?? [name, value];
    const at = this.#random.between(0, value.length + 1);
    if (what === 'replay') await this.#redis.set(oldName, oldValue);
    else if (what === 'copy') await this.#redis.set(other, value);
    else if (what === 'flip') await this.#redis.set(name, `${value.slice(0, at)}A${value.slice(at + 1)}`);
    else if (what === 'bytes') await this.#redis.set(name, Buffer.from([0, 255, 254, 1]));
    else if (what === 'fence') await this.#redis.set(name, value.replace(/^\d+/, String(Date.now() + 3_000)));
    else await this.#redis.del(name);
    if (what === 'type') await this.#redis.lpush(name, 'x');
    return what;
  }

  /** Publishes what nobody may. */
  async forge(): Promise<string> {
    const json = this.#random.chance(0.5)
      ? JSON.stringify({ v: 1, type: 'revoked', select: this.#random.pick([{ all: true }, { tenant: 'tenant-1' }]) })
      : this.#random.pick(GARBAGE);
    await this.#redis.xadd(STREAM, '*', 'event', json);
    return 'forged message';
  }

  /** Does something to the stream. */
  async cutStream(): Promise<string> {
    const what = this.#random.pick(['del', 'trim', 'type'] as const);
    if (what === 'trim') await this.#redis.xtrim(STREAM, 'MAXLEN', 0);
    else await this.#redis.del(STREAM);
    if (what === 'type') await this.#redis.set(STREAM, 'x');
    return `stream: ${what}`;
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from.length === 0 ? undefined : this.#random.pick(from);
  }
}
