import { Throttle } from '../core/throttle.js';
import type { Silence, Unsteadiness } from '../fleet/followed-stream.js';
import { publicName } from '../fleet/stream-url.js';
import { BACK, DOCS, duration, type LogSettings } from './log-lines.js';
import type { Logs } from './logs.js';

const CHECK_STORE = 'Check that it is running and reachable, and that its credentials are right.';

const asked = (url: string): string =>
  `Callers notice nothing; ${url} is asked about every verdict again, spread over time.`;

const lines = {
  sharedCacheFailed: (error: Error | undefined, { publicUrl }: LogSettings): string =>
    `keyverify: the shared cache is down: ${error?.message ?? 'no answer in time'}. Callers notice nothing, but each process ` +
    `asks ${publicUrl} by itself, and a process that starts meanwhile knows no keys. ${CHECK_STORE}`,

  putFailed: (error: Error, { publicUrl }: LogSettings): string =>
    `keyverify: the shared cache does not take a verdict: ${error.message}. Callers notice nothing, but each process asks ` +
    `${publicUrl} by itself. Check the memory of the store, and what it lets this service write.`,

  sharedCacheWorks: (ms: number): string => `keyverify: the shared cache is back after ${duration(ms)}.${BACK}`,

  silent: (source: string, { ms, wasHeard, error }: Silence, { publicUrl, degradedTtlMs }: LogSettings): string =>
    `keyverify: revocations do not arrive: ${publicName(source)} ${wasHeard ? 'was last heard from' : 'was first asked'} ` +
    `${duration(ms)} ago${wasHeard ? '' : ', and has not worked yet'}${error === undefined ? '' : ` (${error.message})`}. Until it is back, a new verdict is fresh for ${duration(degradedTtlMs)} at most, ` +
    `and ${publicUrl} is asked about cached ones again, spread over time: until then a revoked key works. ${CHECK_STORE}`,

  heard: (source: string, ms: number): string =>
    `keyverify: revocations arrive again: ${publicName(source)} is back after ${duration(ms)}.${BACK}`,

  unsteady: (source: string, { lateMs, error }: Unsteadiness): string =>
    `keyverify: ${publicName(source)} ends again and again, soon after it was opened${error === undefined ? '' : ` (${error.message})`}. ` +
    `Nothing is lost, but a revocation may take effect ${duration(lateMs)} late. Check the limits of a proxy on how long a ` +
    'response may take, and what Redis lets this service do.',

  steady: (source: string, ms: number): string =>
    `keyverify: ${publicName(source)} stays open again after ${duration(ms)}.${BACK}`,

  lost: (source: string, { publicUrl }: LogSettings): string =>
    `keyverify: revocations may have been lost in ${publicName(source)}: it was trimmed, emptied or failed over. ${asked(publicUrl)} ` +
    'If it happens again, keep more history in the stream.',

  unreadable: (source: string, { publicUrl }: LogSettings, problem = ''): string =>
    `keyverify: an event in ${publicName(source)} cannot be read (${problem}), so it may have been a revocation. ` +
    `${asked(publicUrl)} Correct what publishes it: ${DOCS}fleet.md#publishing-revocations has the format.`,
};

const unsteadyKey = (source: string): string => `${source} ends`;

/** Says what somebody has to know who looks into what processes share. */
export class FleetLogs {
  readonly #logs: Logs;
  readonly #throttle = new Throttle<string>();
  /** What was said to be down, and since when. */
  readonly #down = new Map<string, number>();

  constructor(logs: Logs) {
    this.#logs = logs;
  }

  /** The shared cache is bypassed, since an operation failed once more. `error`: what the store threw, if it answered. */
  sharedCacheFailed(error: Error | undefined, mono: number): void {
    this.#logDown('sharedCache', mono, (settings) => lines.sharedCacheFailed(error, settings));
  }

  /** A verdict could not be stored, in a store that answers: it may be full. */
  putFailed(error: Error, mono: number): void {
    if (this.#throttle.pass('put', mono) !== undefined) this.#logs.quoting(lines.putFailed(error, this.#logs.settings));
  }

  sharedCacheWorks(mono: number): void {
    this.#logBack('sharedCache', (since) => lines.sharedCacheWorks(mono - since));
  }

  /** A stream of revocations was not heard from for three heartbeats, or still isn't. */
  silent(source: string, silence: Silence, mono: number): void {
    this.#logDown(source, mono, (settings) => lines.silent(source, silence, settings));
  }

  /** It is heard from again, after `ms`. */
  heard(source: string, ms: number): void {
    this.#logBack(source, () => lines.heard(source, ms));
  }

  /** A stream of revocations ends again and again, each time soon after it has worked. */
  unsteady(source: string, unsteadiness: Unsteadiness, mono: number): void {
    this.#logDown(unsteadyKey(source), mono, () => lines.unsteady(source, unsteadiness));
  }

  steady(source: string, mono: number): void {
    this.#logBack(unsteadyKey(source), (since) => lines.steady(source, mono - since));
  }

  /** `problem`: what is wrong with an event that is unreadable. */
  revocationsLost(source: string, reason: 'lost' | 'unreadable', mono: number, problem?: string): void {
    if (this.#throttle.pass(`${reason} ${source}`, mono) !== undefined)
      this.#logs.quoting(lines[reason](source, this.#logs.settings, problem));
  }

  /** Says once that something is down. */
  #logDown(about: string, mono: number, line: (settings: LogSettings) => string): void {
    if (this.#down.has(about) || this.#throttle.pass(about, mono) === undefined) return;
    this.#down.set(about, mono);
    this.#logs.quoting(line(this.#logs.settings));
  }

  /** Says that it is back, if it was said to be down. */
  #logBack(about: string, line: (since: number) => string): void {
    const since = this.#down.get(about);
    if (since === undefined) return;
    this.#down.delete(about);
    this.#logs.info(() => line(since));
  }
}
