/**
 * `keyverify/redis`: verdicts and revocations shared through Redis or Valkey, with the client that you already use.
 *
 * @module
 */
import { fleet } from './fleet.js';
import { checkOptions } from '../core/check-options.js';
import { check, fieldOf, isString, withDefault } from '../core/schema.js';
import { whenReady } from '../core/when-ready.js';
import { scriptReply, sendOption, type SendCommand } from '../fleet/redis-command.js';
import { sealers, secretsOption, type Sealer } from '../fleet/seal.js';
import type { SharedCache, SharedEntry, SharedGet, SharedKey, SharedPut, SharedRead } from '../fleet/shared-cache.js';
import { StoreClock } from '../fleet/store-clock.js';

export type { SendCommand } from '../fleet/redis-command.js';
export { redisRevocations, type RedisRevocationsOptions } from './redis-revocations.js';

/** The options of `redisCache()`. */
export interface RedisCacheOptions {
  /** Sends one command: for ioredis `(command) => redis.call(...command)`. docs/fleet.md has other clients. */
  readonly send: SendCommand;
  /**
   * Seals the entries: at least 32 random bytes as text, the same in all processes. With a list, the first one seals and any
   * of them opens, so that a secret can be replaced without losing entries.
   */
  readonly secret: string | readonly string[];
  /** What names in Redis begin with. Default: `'keyverify:'`. */
  readonly prefix?: string | undefined;
}

/** The longest entry, in characters: a shared verdict has 16 384 of up to 3 bytes, and sealing adds a third. */
const MAX_ENTRY = 66_560;

/** As Redis counts: one character more than an entry may have. */
const LAST = String(MAX_ENTRY);

/** The time of the store, and the entry. There may be a value of any type: one that is no text, or too long, is no entry. */
const GET = `local t = redis.call('TIME')
local v = redis.pcall('GETRANGE', KEYS[1], 0, ${MAX_ENTRY})
return {t[1], t[2], type(v) == 'string' and #v <= ${MAX_ENTRY} and v or '?'}`;

/** Sets unless a later entry is there; one from the future doesn't count. */
const PUT = `local v = redis.pcall('GETRANGE', KEYS[1], 0, 20)
local old = type(v) == 'string' and tonumber(string.match(v, '^(%d+):'))
if old and old <= tonumber(redis.call('TIME')[1]) * 1000 + 6000 then
  local new = tonumber(ARGV[1])
  if old > new or (old == new and ARGV[2] == '0') then return '0' end
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return '1'`;

const VALUE = /^(\d{1,16}):([\w-]+)$/;

const shapeFor = (given: unknown) => ({
  send: sendOption(),
  secret: secretsOption(fieldOf(given, 'secret')),
  prefix: withDefault(check(isString, 'a string'), 'keyverify:'),
});

class RedisCache implements SharedCache {
  readonly fleet = fleet;
  readonly #send: SendCommand;
  readonly #prefix: string;
  readonly #sealers: readonly [Sealer, ...Sealer[]];
  readonly #clock = new StoreClock();
  /** Whether an entry was found last time, so that another one is likely to be. */
  #finds = false;

  constructor(options: RedisCacheOptions) {
    const { send, secret, prefix } = checkOptions(shapeFor(options), options);
    this.#send = send;
    this.#prefix = prefix;
    this.#sealers = sealers(secret);
  }

  async get(key: SharedKey, { mayEstimate = false }: SharedGet = {}): Promise<SharedRead> {
    const [sealer, ...others] = this.#sealers;
    if (others.length > 0) return await this.#readAll(sealer, others, key);
    const name = await this.#nameOf(sealer, key);
    if (mayEstimate && this.#finds && this.#clock.isKnown) {
      let stored: unknown;
      try {
        // Without the time, which only a script tells with the entry: that takes Redis twice as long.
        stored = await this.#send(['GETRANGE', name, '0', LAST], name);
      } catch {
        // What is there may be no text. If it is something else, the script will say so.
      }
      const opened = this.#open(sealer, key, name, stored);
      const entry = opened instanceof Promise ? await opened : opened;
      const now = entry && this.#clock.timeFor(entry.fence);
      if (now !== undefined) return { now, entry, isEstimate: true };
    }
    const read = await this.#read(sealer, key, name);
    this.#finds = read.entry !== undefined;
    return read;
  }

  async put(key: SharedKey, value: string, { fence, replacesEqual, ttlMs }: SharedPut): Promise<boolean> {
    const [sealer] = this.#sealers;
    const name = await this.#nameOf(sealer, key);
    const sealed = await sealer.seal(value, contextOf(name, key, fence), fence);
    const values = [String(fence), replacesEqual ? '1' : '0', `${fence}:${sealed}`, String(ttlMs)];
    return String(await this.#send(['EVAL', PUT, '1', name, ...values], name)) === '1';
  }

  async lease(key: SharedKey, ms: number): Promise<boolean> {
    const name = `${await this.#nameOf(this.#sealers[0], key)}:lease`;
    const reply = await this.#send(['SET', name, '1', 'NX', 'PX', String(Math.ceil(ms))], name);
    return reply !== null && reply !== undefined;
  }

  #nameOf(sealer: Sealer, key: SharedKey): string | Promise<string> {
    return whenReady(sealer.idOf(key), (id) => `${this.#prefix}v1:${id}`);
  }

  /** While a secret is being replaced, the latest entry counts. */
  async #readAll(sealer: Sealer, others: readonly Sealer[], key: SharedKey): Promise<SharedRead> {
    const readBy = async (by: Sealer): Promise<SharedRead> => await this.#read(by, key, await this.#nameOf(by, key));
    const reads = await Promise.all([readBy(sealer), ...others.map(readBy)]);
    const [first] = reads;
    const [latest = first] = reads.toSorted((a, b) => (b.entry?.fence ?? -1) - (a.entry?.fence ?? -1));
    return { ...latest, now: first.now };
  }

  async #read(sealer: Sealer, key: SharedKey, name: string): Promise<SharedRead> {
    const askedAt = this.#clock.begin();
    const [seconds, microseconds, stored] = scriptReply(await this.#send(['EVAL', GET, '1', name], name));
    const now = Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
    this.#clock.tell(now, askedAt);
    if (stored === '') return { now };
    const entry = await this.#open(sealer, key, name, stored);
    return entry === undefined ? { now, unsealable: true } : { now, entry };
  }

  #open(
    sealer: Sealer,
    key: SharedKey,
    name: string,
    stored: unknown,
  ): SharedEntry | undefined | Promise<SharedEntry | undefined> {
    // Before anything else is done with it: a store may not keep to the limit.
    const text = typeof stored === 'string' && stored.length <= MAX_ENTRY ? stored : '';
    const [, digits, sealed = ''] = VALUE.exec(text) ?? [];
    const fence = Number(digits);
    return whenReady(sealer.open(sealed, contextOf(name, key, fence), fence), (value) =>
      value === undefined ? undefined : { value, fence },
    );
  }
}

/** What a sealed value is bound to: it can't be moved to another key or server, nor made younger. */
const contextOf = (name: string, { namespace }: SharedKey, fence: number): string => `${name}\n${namespace}\n${fence}`;

/**
 * A shared cache in Redis 6.2 or later, or Valkey. Entries are sealed: they show no key, fingerprint, client or tenant, and
 * can't be forged. Throws `InvalidOptionsError` for wrong options, such as a secret that is too short.
 *
 * @example
 * ```ts
 * const redis = new Redis('redis://localhost:6379'); // ioredis
 * const send = (command: [string, ...string[]]) => redis.call(...command);
 * const verifier = new KeyVerifier({
 *   sharedCache: redisCache({ send, secret: process.env['KEYVERIFY_SECRET'] ?? '' }),
 *   revocations: redisRevocations({ send }),
 * });
 * ```
 */
export function redisCache(options: RedisCacheOptions): SharedCache {
  return new RedisCache(options);
}
