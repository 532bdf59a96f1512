import type { Clock } from '../core/clock.js';
import type { RevocationGapEvent } from '../core/events.js';
import { redact, redactError } from '../core/redact.js';
import { isPosition, type StreamPosition } from './position.js';
import {
  isRevocation,
  readDelivered,
  type FollowContext,
  type PositionedMessage,
  type Revocation,
  type RevocationSink,
  type RevocationSource,
} from './revocation.js';
import { StreamBackoff } from './stream-backoff.js';
import { StreamPlace } from './stream-place.js';
import { secretsIn } from './stream-url.js';

/** A revocation, and where it stands in the stream of its source. */
export interface FollowedRevocation extends Revocation, StreamPosition {
  readonly source: string;
}

/** What is known of a stream that ends again and again, each time soon after it has worked. */
export interface Unsteadiness {
  /** How late revocations may take effect, in milliseconds. */
  readonly lateMs: number;
  /** How it ended, if with an error. */
  readonly error: Error | undefined;
}

/** What is known of a stream that is silent. */
export interface Silence {
  /** For how long, in milliseconds. */
  readonly ms: number;
  /** Whether it was heard from before. */
  readonly wasHeard: boolean;
  /** Why, if that is known. */
  readonly error: Error | undefined;
}

export interface FollowerOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly scope: string | undefined;
  readonly retainMs: number;
  readonly verifyUrl: string;
  readonly token: FollowContext['token'];
  readonly onRevocations: (source: string, revocations: readonly FollowedRevocation[]) => void;
  /** `problem`: what is wrong with an event that is unreadable. */
  readonly onGap: (source: string, reason: RevocationGapEvent['reason'], problem: string | undefined) => void;
  /** A stream is silent for three heartbeats or more. Told again and again. */
  readonly onSilent: (source: string, silence: Silence) => void;
  /** It is heard from again, after `ms`. */
  readonly onHeard: (source: string, ms: number) => void;
  /** A stream ends again and again. Told each time. */
  readonly onUnsteady: (source: string, unsteadiness: Unsteadiness) => void;
  /** It has stayed open again. */
  readonly onSteady: (source: string) => void;
  /** How far our clock is ahead of the key server's, in milliseconds, as far as is known. */
  readonly clockSkewMs: () => number | undefined;
}

/** After how many missed heartbeats a stream counts as down. */
const SILENT_HEARTBEATS = 3;

/** For how long a message that took effect late counts as lag: a collector reads the gauge once a minute at least. */
const LAG_HELD_MS = 60_000;

/** The `Date` of the key server, which its clock is known by, counts in seconds. */
const SKEW_MS = 2_000;

/** One source: called again whenever it ends, or is silent for too long. */
export class FollowedStream {
  readonly source: RevocationSource;
  readonly place: StreamPlace;
  isCaughtUp = false;
  readonly #options: FollowerOptions;
  #isClosed = false;
  /** When it was last known to live, once it is followed. */
  #heardAt = Infinity;
  #calledAt = -Infinity;
  #startedAt = Infinity;
  #okSince: number;
  #delay = { ms: 0, until: -Infinity };
  #token = '';
  readonly #urlSecrets: readonly string[];
  #error: Error | undefined;
  readonly #backoff: StreamBackoff;
  #unsteadySince: number | undefined;
  #isSilenceTold = false;
  #wasHeard = false;
  #endCall: () => void = () => undefined;
  #endPause: () => void = () => undefined;
  #cancelWatch: () => void = () => undefined;
  /** Who waits until it is caught up. */
  readonly #waiting: (() => void)[] = [];

  constructor(source: RevocationSource, options: FollowerOptions) {
    this.source = source;
    this.#options = options;
    this.#okSince = options.clock.wall();
    this.#urlSecrets = secretsIn(options.verifyUrl);
    this.#backoff = new StreamBackoff(source.heartbeatMs, options.random);
    this.place = new StreamPlace(options.clock, (reason, problem) => options.onGap(source.name, reason, problem));
  }

  /** Since when it is heard from, ends again and again, or starts, on the wall clock; of a silent one, when it was last heard from. */
  get since(): number {
    const { clock } = this.#options;
    if (this.isSilent) return Math.floor(clock.wall() - (clock.monotonic() - this.#heardAt));
    return this.#unsteadySince ?? this.#okSince;
  }

  /** How late revocations take effect: none that is in flight is older than this. */
  get lagMs(): number {
    const mono = this.#options.clock.monotonic();
    return Math.ceil(Math.max(0, mono - this.#heardAt, mono < this.#delay.until ? this.#delay.ms : 0));
  }

  /** Whether it ends again and again, each time soon after it has worked. */
  get isUnsteady(): boolean {
    return this.#unsteadySince !== undefined;
  }

  get isSilent(): boolean {
    return this.#options.clock.monotonic() - this.#heardAt >= this.#silentMs;
  }

  /** Resolves when everything that is retained has been read. */
  start(): Promise<void> {
    this.#startedAt = this.#options.clock.monotonic();
    this.#heardAt = this.#startedAt;
    // Before it is followed: a source may be caught up at once.
    const caughtUp = new Promise<void>((resolve) => void this.#waiting.push(resolve));
    this.#watch();
    void this.#run();
    return caughtUp;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelWatch();
    this.place.close();
    this.#endCall();
    this.#endPause();
  }

  /** What a source may quote. */
  get #secrets(): readonly string[] {
    return [this.#token, ...this.#urlSecrets];
  }

  get #silentMs(): number {
    return SILENT_HEARTBEATS * this.source.heartbeatMs;
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      this.#calledAt = this.#options.clock.monotonic();
      this.#backoff.open(this.#calledAt);
      await this.#follow();
      await this.#pause();
    }
  }

  async #pause(): Promise<void> {
    if (this.#isClosed) return;
    const { clock, onUnsteady } = this.#options;
    const [backoff, error] = [this.#backoff, this.#error];
    const pauseMs = backoff.end();
    if (backoff.isUnsteady) {
      this.#unsteadySince ??= clock.wall();
      onUnsteady(this.source.name, { lateMs: backoff.lateMs, error });
    }
    await new Promise<void>((resolve) => {
      const cancel = clock.after(pauseMs, resolve, true);
      this.#endPause = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Calls the source once, until it ends or is told to. */
  async #follow(): Promise<void> {
    const { clock, retainMs, verifyUrl } = this.#options;
    const { source, place } = this;
    const token: FollowContext['token'] = async (refused) => (this.#token = await this.#options.token(refused));
    const call = new AbortController();
    const { signal } = call;
    // A source that goes on after it was told to end is no longer listened to.
    const sink: RevocationSink = {
      deliver: (messages) => {
        if (!signal.aborted) this.#deliver(messages);
      },
      gap: () => {
        if (!signal.aborted) place.lose();
      },
      caughtUp: (position, since) => {
        if (!signal.aborted) this.#onCaughtUp(position, since);
      },
    };
    const context = { sink, from: place.position, retainMs, signal, verifyUrl, token, clock };
    // In an async function: it may throw before it returns a promise.
    const follow = async (): Promise<void> => await source.follow(context);
    await new Promise<void>((resolve) => {
      this.#endCall = resolve;
      follow().then(resolve, (error: unknown) => {
        this.#error = redactError(error, this.#secrets);
        resolve();
      });
    });
    call.abort(new Error('no longer followed'));
  }

  /** Finds out when nothing is heard any more: a connection may be dead without being closed. */
  #watch(): void {
    const { clock, onSilent } = this.#options;
    const { name } = this.source;
    if (this.isSilent) {
      if (!this.#isSilenceTold) this.place.gap('silent');
      this.#isSilenceTold = true;
      onSilent(name, { ms: clock.monotonic() - this.#heardAt, wasHeard: this.#wasHeard, error: this.#error });
    }
    const leftMs = Math.max(this.#heardAt, this.#calledAt) + this.#silentMs - clock.monotonic();
    if (leftMs <= 0) this.#endCall();
    this.#cancelWatch = clock.after(leftMs > 0 ? leftMs : this.#silentMs, () => this.#watch(), true);
  }

  #deliver(messages: readonly PositionedMessage[]): void {
    const { scope, onRevocations } = this.#options;
    const { source, place } = this;
    const isForOthers = ({ scope: concerned = scope }: Revocation): boolean =>
      scope !== undefined && concerned !== scope;
    const revocations: FollowedRevocation[] = [];
    for (const delivered of messages) {
      const { position } = delivered;
      const message = readDelivered(delivered);
      // After a gap, what is retained may come again.
      const isNew = place.isNew(position);
      if (isPosition(position)) place.goTo(position);
      if (typeof message === 'string') place.gap('unreadable', redact(message, this.#secrets));
      else if (message.type === 'reset') place.lose();
      else if (isRevocation(message) && !isForOthers(message)) {
        revocations.push({ ...message, source: source.name, position, gaps: place.gaps });
        if (isNew) this.#recordDelay(message.at);
      }
    }
    this.#heard();
    if (revocations.length > 0) onRevocations(source.name, revocations);
  }

  /** A message takes effect now that was published at `at`, by another clock than ours. */
  #recordDelay(at = Infinity): void {
    const { clock, clockSkewMs } = this.#options;
    const [mono, skewMs] = [clock.monotonic(), clockSkewMs() ?? 0];
    const ms = clock.wall() - (skewMs > SKEW_MS ? skewMs : 0) - at;
    // Before it was followed, nothing was served here that could have been revoked.
    const delayMs = Math.min(ms, mono - this.#startedAt);
    if (mono >= this.#delay.until || delayMs >= this.#delay.ms)
      this.#delay = { ms: delayMs, until: mono + LAG_HELD_MS };
  }

  #heard(): void {
    const { clock, onHeard } = this.#options;
    const mono = clock.monotonic();
    const [wasSilent, silentMs] = [this.isSilent, mono - this.#heardAt];
    this.#heardAt = mono;
    this.#wasHeard = true;
    this.#error = undefined;
    if (!wasSilent) return;
    this.#okSince = clock.wall();
    onHeard(this.source.name, silentMs);
  }

  #onCaughtUp(position: string | undefined, since: string | undefined): void {
    if (isPosition(position)) this.place.goTo(position);
    if (isPosition(since)) this.place.beginAt(since);
    this.#heard();
    if (!this.isCaughtUp) this.#okSince = this.#options.clock.wall();
    this.#onWorks();
    this.#isSilenceTold = false;
    this.isCaughtUp = true;
    for (const tell of this.#waiting.splice(0)) tell();
  }

  #onWorks(): void {
    const { clock, onSteady } = this.#options;
    this.#backoff.works(clock.monotonic());
    if (!this.isUnsteady || this.#backoff.isUnsteady) return;
    this.#unsteadySince = undefined;
    this.#okSince = clock.wall();
    onSteady(this.source.name);
  }
}
