import { checkOptions } from '../core/check-options.js';
import type { Clock } from '../core/clock.js';
import { lazy } from '../core/lazy.js';
import { check, func, isString, number, withDefault } from '../core/schema.js';
import type { SendCommand } from './redis-command.js';
import {
  toJson,
  type FollowContext,
  type PositionedMessage,
  type Revocation,
  type RevocationSource,
} from './revocation.js';

/** How `redisRevocations()` is set up. */
export interface RedisRevocationsOptions {
  /** Sends one command. */
  readonly send: SendCommand;
  /** What names in Redis begin with: the stream is `<prefix>revocations`. Default: `'keyverify:'`. */
  readonly prefix?: string | undefined;
  /** How often the stream is read, in milliseconds. Default: 1 000. */
  readonly pollMs?: number | undefined;
  /** How long events are kept, in milliseconds. Default: 86 400 000 (a day). */
  readonly retentionMs?: number | undefined;
}

/** How many entries are read at once. */
const PAGE = 1_000;

/** How often the stream is trimmed, by one process of all. */
const TRIM_EVERY_MS = 60_000;

/**
 * The last id and the entries from a position on, as texts in RESP2 and RESP3 alike. A stream that isn't there is begun, so
 * that its end can be told from its absence.
 */
const READ = `local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then redis.call('XADD', KEYS[1], '*', 'event', ARGV[3])
elseif kind ~= 'stream' then return redis.error_reply('WRONGTYPE ' .. kind) end
local from = ARGV[1]
if from == '' then from = string.format('%.0f', math.max(0, redis.call('TIME')[1] * 1000 - ARGV[4])) end
local last = ''
local info = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #info, 2 do if info[i] == 'last-generated-id' then last = info[i + 1] end end
local entries = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', ARGV[2])) do
  local event = ''
  for i = 1, #entry[2], 2 do if entry[2][i] == 'event' then event = entry[2][i + 1] end end
  entries[#entries + 1] = entry[1]
  entries[#entries + 1] = event
end
return {last, entries}`;

/** By the clock of the store. */
const TRIM = `local before = string.format('%.0f', redis.call('TIME')[1] * 1000 - ARGV[1])
return tostring(redis.call('XTRIM', KEYS[1], 'MINID', '~', before))`;

interface Page {
  readonly last: string;
  readonly messages: readonly PositionedMessage[];
}

const shape = lazy(() => {
  const duration = number((ms) => ms > 0, 'a positive number of milliseconds');
  return {
    send: func<SendCommand>(),
    prefix: withDefault(check(isString, 'a string'), 'keyverify:'),
    pollMs: withDefault(duration, 1_000),
    retentionMs: withDefault(duration, 86_400_000),
  };
});

class RedisRevocations implements RevocationSource {
  readonly name: string;
  readonly heartbeatMs: number;
  readonly #sendCommand: SendCommand;
  readonly #pollMs: number;
  readonly #retentionMs: number;

  constructor(options: RedisRevocationsOptions) {
    const { send, prefix, pollMs, retentionMs } = checkOptions(shape(), options);
    this.#sendCommand = send;
    this.name = `${prefix}revocations`;
    this.#pollMs = pollMs;
    this.heartbeatMs = Math.max(pollMs, 1_000);
    this.#retentionMs = retentionMs;
  }

  async follow({ sink, from, retainMs, signal, clock }: FollowContext): Promise<void> {
    let cursor = from;
    for (let trimAt = -Infinity; !signal.aborted;) {
      const { last, messages } = await this.#read(cursor, retainMs);
      const [first, ...later] = messages;
      // By their ids: what follows the cursor is complete only if the cursor itself is still there.
      const isWhole = cursor === undefined || (first?.position ?? last) === cursor;
      if (!isWhole) {
        sink.gap();
        cursor = undefined;
        continue;
      }
      const news = cursor === undefined ? messages : later;
      if (news.length > 0) sink.deliver(news);
      cursor = news.at(-1)?.position ?? cursor ?? last;
      if (messages.length >= PAGE) continue;
      sink.caughtUp();
      if (clock.monotonic() >= trimAt) {
        trimAt = clock.monotonic() + TRIM_EVERY_MS;
        await this.#trim();
      }
      await sleep(clock, this.#pollMs, signal);
    }
  }

  async publish(revocation: Revocation): Promise<void> {
    await this.#send(['XADD', this.name, '*', 'event', toJson(revocation)]);
  }

  async #send(command: [string, ...string[]], key = this.name): Promise<unknown> {
    return await this.#sendCommand(command, key);
  }

  async #read(cursor: string | undefined, retainMs: number): Promise<Page> {
    const values = [cursor ?? '', String(PAGE), toJson({ type: 'heartbeat' }), String(retainMs)];
    const reply = await this.#send(['EVAL', READ, '1', this.name, ...values]);
    const parts: readonly unknown[] = Array.isArray(reply) ? reply : [];
    const [last, flat] = parts;
    if (!Array.isArray(flat)) throw new TypeError('the stream can not be read');
    const messages: PositionedMessage[] = [];
    for (let at = 0; at + 1 < flat.length; at += 2)
      messages.push({ position: String(flat[at]), json: String(flat[at + 1]) });
    return { last: String(last), messages };
  }

  /** One process of all, now and then: publishers elsewhere need not. */
  async #trim(): Promise<void> {
    const lease = `${this.name}:trim`;
    const taken = await this.#send(['SET', lease, '1', 'NX', 'PX', String(TRIM_EVERY_MS)], lease);
    if (taken === null || taken === undefined) return;
    await this.#send(['EVAL', TRIM, '1', this.name, String(this.#retentionMs)]);
  }
}

async function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = clock.after(ms, end, true);
    signal.addEventListener('abort', end, { once: true });
    function end(): void {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    }
  });
}

/**
 * Revocations through a Redis stream, which one `XADD` from any language feeds:
 * `XADD keyverify:revocations * event '{"v":1,"type":"revoked","select":{"keyId":"key_1"}}'`. Every process reads all of it.
 */
export function redisRevocations(options: RedisRevocationsOptions): RevocationSource {
  return new RedisRevocations(options);
}
