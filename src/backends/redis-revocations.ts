import { fleet } from './fleet.js';
import { checkOptions } from '../core/check-options.js';
import { InvalidOptionsError } from '../core/errors.js';
import { check, fieldOf, isString, number, optional, withDefault } from '../core/schema.js';
import { deliver, sleep } from '../fleet/deliver.js';
import { commandError, scriptReply, sendOption, type SendCommand } from '../fleet/redis-command.js';
import { generationOf, isBefore, isPosition } from '../fleet/position.js';
import { SECRETS, secretsOption } from '../fleet/seal.js';
import { MAX_SIGNATURE, Signer } from '../fleet/signer.js';
import {
  MAX_EVENT,
  toJson,
  type FollowContext,
  type PositionedMessage,
  type Revocation,
  type RevocationSource,
} from '../fleet/revocation.js';

/** The options of `redisRevocations()`. */
export interface RedisRevocationsOptions {
  /** Sends one command. */
  readonly send: SendCommand;
  /** What names in Redis begin with: the stream is `<prefix>revocations`. Default: `'keyverify:'`. */
  readonly prefix?: string | undefined;
  /**
   * Makes an event count only if its field `signature` is the HMAC-SHA-256 of the event under this secret, in hexadecimal
   * digits: at least 32 random bytes as text, which only publishers and verifiers know. Any other event counts as a gap. With
   * a list, the first one signs what `revoke()` publishes and a signature by any of them counts. If it is not given, every event
   * counts; `undefined`, as of a variable that isn't set, is refused.
   */
  readonly signingSecret?: string | readonly string[];
  /** How often the stream is read, in milliseconds, at least 10. Default: 1 000. */
  readonly pollMs?: number | undefined;
  /** How long events are kept, in milliseconds, at least 300 000. Default: 86 400 000 (a day). */
  readonly retentionMs?: number | undefined;
}

/** How many entries are read at once. */
const PAGE = 1_000;

/**
 * While every page is full, revocations take effect only this often, in milliseconds. Each time, they invalidate the answers
 * that are in flight, and a caller whose answer is invalidated twice is denied.
 */
const READ_ON_MS = 250;

/** How many events may wait for that: each may be long. */
const MAX_BACKLOG = 5_000;

/** How many entries are kept of a stream that can't be trimmed by time. */
const MAX_UNTRIMMED = 100_000;

/** The shortest retention: a day in seconds is less. */
const LEAST_RETENTION_MS = 300_000;

/** How often the stream is trimmed, by one process of all. */
const TRIM_EVERY_MS = 60_000;

/**
 * The generation of the stream, the ids that were given and deleted last, the entries from an id on, and the id after which
 * none was trimmed, as texts in RESP2 and RESP3 alike. A stream that isn't there is begun, so that its end can be told from
 * its absence. One that can't go on is begun anew: its ids are past 2^53, where no time is and there may be no room for more,
 * or they are more than a day ahead of the clock, so that it isn't trimmed, and it has become long. The generation is the name
 * of a consumer group, since that lives and ends with the stream; a caller who found a gap ends it and begins another one. A
 * caller of a generation that the stream doesn't know has read another stream, and is given all of this one. Entries that are
 * too long to be an event, or have two, are not sent.
 */
const READ = `local key, from, own, isEnded, page, begin, retain = KEYS[1], unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] * 1000
local kind = redis.call('TYPE', key).ok
if kind ~= 'none' and kind ~= 'stream' then return redis.error_reply('WRONGTYPE ' .. kind) end
local function read()
  local info, fields = redis.call('XINFO', 'STREAM', key), {}
  for i = 1, #info, 2 do fields[info[i]] = info[i + 1] end
  local last, oldest, newest = fields['last-generated-id'], fields['first-entry'], fields['last-entry']
  return last, fields['max-deleted-entry-id'] or '', newest and newest[1] == last and oldest[1] or last
end
local last, deleted, since
if kind == 'stream' then last, deleted, since = read() end
local ms = last and tonumber(string.match(last, '%d+'))
if not last or ms > 2 ^ 53 or (ms > now + 86400000 and redis.call('XLEN', key) > ${MAX_UNTRIMMED}) then
  redis.call('DEL', key)
  redis.call('XADD', key, '*', 'event', begin)
  last, deleted, since = read()
end
local generation, isKnown, others = nil, false, {}
for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local kind, number = string.match(group[2], '^(%l+):([1-9]%d*)$')
  if kind == 'generation' or kind == 'ended' then
    isKnown = isKnown or number == own
    local isCurrent = kind == 'generation' and #number <= 20 and not (number == own and isEnded == '1')
    if isCurrent then generation = number else others[#others + 1] = group[2] end
  end
end
if not generation then
  for _, other in ipairs(others) do redis.call('XGROUP', 'DESTROY', key, other) end
  generation = time[1] .. string.format('%06d', time[2])
  redis.call('XGROUP', 'CREATE', key, 'generation:' .. generation, '0')
  if isKnown then redis.call('XGROUP', 'CREATE', key, 'ended:' .. own, '0') end
end
if not isKnown then from = string.format('%.0f', math.max(0, now - retain)) end
local entries = {}
for _, entry in ipairs(redis.call('XRANGE', key, from, '+', 'COUNT', page)) do
  local event, signature = nil, ''
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'event' then event = event and '' or entry[2][i + 1] end
    if entry[2][i] == 'signature' then signature = entry[2][i + 1] end
  end
  entries[#entries + 1] = entry[1]
  entries[#entries + 1] = event and #event <= ${MAX_EVENT} and event or ''
  entries[#entries + 1] = string.sub(signature, 1, ${MAX_SIGNATURE + 1})
end
return {generation, last, deleted, entries, since}`;

/**
 * By the clock of the store. The last one of the entries that are too old stays: so does a position that another process
 * still stands at, since nothing has come after it.
 */
const TRIM = `local before = string.format('%.0f', math.max(0, redis.call('TIME')[1] * 1000 - ARGV[1]))
local kept = redis.call('XREVRANGE', KEYS[1], '(' .. before, '-', 'COUNT', '1')[1]
return kept and tostring(redis.call('XTRIM', KEYS[1], 'MINID', '~', kept[1])) or '0'`;

const FOR_TRIM = ', to trim the stream';

/** The first entry of a stream. It says nothing about keys, so it needs no signature. */
const BEGIN = toJson({ type: 'heartbeat' });

/** An entry as it is read. */
interface PositionedEntry extends PositionedMessage {
  readonly signature: string;
}

interface Page {
  readonly generation: string;
  /** The position of the entry that was added last, be it there or not. */
  readonly last: string;
  /** Of all entries that were deleted one by one, the highest position; '' before Redis 7. */
  readonly deleted: string;
  /** After which nothing was trimmed, nor deleted one by one from Redis 7 on. */
  readonly since: string;
  readonly messages: readonly PositionedMessage[];
}

const shapeFor = (given: unknown) => {
  // Less would be meant in seconds.
  const atLeast = (least: number) => number((ms) => ms >= least, `a number of milliseconds, at least ${least}`);
  return {
    send: sendOption(),
    prefix: withDefault(check(isString, 'a string'), 'keyverify:'),
    signingSecret: optional(secretsOption(fieldOf(given, 'signingSecret'))),
    pollMs: withDefault(atLeast(10), 1_000),
    retentionMs: withDefault(atLeast(LEAST_RETENTION_MS), 86_400_000),
  };
};

class RedisRevocations implements RevocationSource {
  readonly fleet = fleet;
  readonly name: string;
  readonly heartbeatMs: number;
  readonly #sendCommand: SendCommand;
  readonly #signer: Signer | undefined;
  readonly #pollMs: number;
  readonly #retentionMs: number;

  constructor(options: RedisRevocationsOptions) {
    const { send, prefix, signingSecret, pollMs, retentionMs } = checkOptions(shapeFor(options), options);
    // Otherwise an environment variable that isn't set would silently turn signatures off.
    if (signingSecret === undefined && 'signingSecret' in options)
      throw new InvalidOptionsError([`signingSecret: expected ${SECRETS}, got undefined`]);
    this.#sendCommand = send;
    this.#signer = signingSecret === undefined ? undefined : new Signer(signingSecret);
    this.name = `${prefix}revocations`;
    this.#pollMs = pollMs;
    this.heartbeatMs = Math.max(pollMs, 1_000);
    this.#retentionMs = retentionMs;
  }

  async follow(context: FollowContext): Promise<void> {
    const { sink, from, retainMs, signal, clock } = context;
    let cursor = from;
    let deleted = '';
    let since: string | undefined;
    const pending = new PendingMessages(context);
    for (let trimAt = -Infinity; !signal.aborted;) {
      let page = await this.#read(cursor, retainMs);
      if (cursor === undefined) ({ since } = page);
      else if (isLossy(page, cursor, deleted)) {
        await pending.deliver();
        // Read again: what has been lost up to then was lost before the gap.
        page = await this.#read(cursor, retainMs, true);
        ({ since } = page);
        sink.gap();
      }
      const { last, messages } = page;
      const news = messages.filter(({ position }) => idOf(position) !== idOf(cursor ?? ''));
      pending.add(news);
      const isFull = messages.length >= PAGE;
      if (!isFull || pending.isDue) await pending.deliver();
      const end = messages.at(-1)?.position ?? last;
      cursor = isFull ? end : last;
      deleted = page.deleted;
      if (isFull) continue;
      sink.caughtUp(cursor, since);
      since = undefined;
      if (clock.monotonic() >= trimAt) {
        trimAt = clock.monotonic() + TRIM_EVERY_MS;
        await this.#trim();
      }
      await sleep(clock, this.#pollMs, signal);
    }
  }

  async publish(revocation: Revocation): Promise<void> {
    const event = toJson(revocation);
    const signed = this.#signer === undefined ? [] : ['signature', await this.#signer.sign(event)];
    await this.#send(['XADD', this.name, '*', 'event', event, ...signed]);
  }

  /** `purpose` is named where it fails. */
  async #send(command: [string, ...string[]], key = this.name, purpose = ''): Promise<unknown> {
    try {
      return await this.#sendCommand(command, key);
    } catch (error) {
      throw commandError(error, command[0] + purpose);
    }
  }

  /** What comes after the cursor; ends its generation, if that is still the one of the stream. */
  async #read(cursor: string | undefined, retainMs: number, isEnded = false): Promise<Page> {
    const [from, own] = cursor === undefined ? ['', ''] : [idOf(cursor), generationOf(cursor)];
    const values = [from, own, isEnded ? '1' : '0', String(PAGE), BEGIN, String(retainMs)];
    const reply = await this.#send(['EVAL', READ, '1', this.name, ...values]);
    const [generation, last, deleted, flat, oldest] = scriptReply(reply);
    if (!Array.isArray(flat)) throw new TypeError('the stream cannot be read');
    const at = (id: unknown): string => `${String(generation)}-${String(id)}`;
    const entries: PositionedEntry[] = [];
    for (let i = 0; i + 2 < flat.length; i += 3)
      entries.push({ position: at(flat[i]), json: String(flat[i + 1]), signature: String(flat[i + 2]) });
    const messages = await Promise.all(entries.map(async (entry) => await this.#checked(entry)));
    const [removed, untrimmed] = [deleted === '' ? '' : at(deleted), at(oldest)];
    const since = isPosition(removed) && isBefore(untrimmed, removed) ? removed : untrimmed;
    return { generation: String(generation), last: at(last), deleted: removed, since, messages };
  }

  /** An entry that isn't signed, but has to be, becomes one that can't be read. That counts as a gap: it may be a revocation. */
  async #checked({ position, json, signature }: PositionedEntry): Promise<PositionedMessage> {
    const counts = this.#signer === undefined || json === BEGIN || (await this.#signer.isSigned(json, signature));
    return { position, json: counts ? json : '' };
  }

  /** One process of all, now and then: publishers elsewhere need not. */
  async #trim(): Promise<void> {
    const lease = `${this.name}:trim`;
    const taken = await this.#send(['SET', lease, '1', 'NX', 'PX', String(TRIM_EVERY_MS)], lease, FOR_TRIM);
    if (taken === null || taken === undefined) return;
    await this.#send(['EVAL', TRIM, '1', this.name, String(this.#retentionMs)], this.name, FOR_TRIM);
  }
}

/** Messages that have been read, but not delivered yet. Of equal ones, only the latest is kept. */
class PendingMessages {
  readonly #context: FollowContext;
  /** JSON to position. */
  readonly #messages = new Map<string, string>();
  #dueAt = -Infinity;

  constructor(context: FollowContext) {
    this.#context = context;
  }

  get isDue(): boolean {
    return this.#messages.size >= MAX_BACKLOG || this.#context.clock.monotonic() >= this.#dueAt;
  }

  add(messages: readonly PositionedMessage[]): void {
    for (const { position, json } of messages) {
      // To the end: positions rise.
      this.#messages.delete(json);
      this.#messages.set(json, position);
    }
  }

  async deliver(): Promise<void> {
    const messages = Array.from(this.#messages, ([json, position]) => ({ position, json }));
    this.#messages.clear();
    await deliver(messages, this.#context);
    this.#dueAt = this.#context.clock.monotonic() + READ_ON_MS;
  }
}

/** The id of an entry in Redis. */
const idOf = (position: string): string => position.slice(position.indexOf('-') + 1);

/** Whether something that came after the cursor may not be in what was read from there. */
function isLossy({ generation, last, deleted, messages }: Page, cursor: string, wasDeleted: string): boolean {
  if (generation !== generationOf(cursor)) return true;
  // What follows the cursor is complete only if the cursor itself is still there, and the end.
  const [first = last, end = last] = [messages[0]?.position, messages.at(-1)?.position];
  if (first !== cursor || (messages.length < PAGE && end !== last)) return true;
  return deleted !== wasDeleted && isPosition(deleted) && isBefore(cursor, deleted);
}

/**
 * Revocations through a Redis stream, which one `XADD` from any language feeds:
 * `XADD keyverify:revocations * event '{"v":1,"type":"revoked","select":{"keyId":"key_1"}}'`. Every process reads all of it.
 * Throws `InvalidOptionsError` for wrong options, such as a `signingSecret` that is too short.
 */
export function redisRevocations(options: RedisRevocationsOptions): RevocationSource {
  return new RedisRevocations(options);
}
