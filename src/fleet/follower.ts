import type { Clock } from '../core/clock.js';
import {
  isPosition,
  isRevocation,
  parseMessage,
  type FollowContext,
  type PositionedMessage,
  type Positions,
  type Revocation,
  type RevocationSink,
  type RevocationSource,
} from './revocation.js';

/** A revocation, and where it stands in the stream of its source. */
export interface FollowedRevocation extends Revocation {
  readonly source: string;
  readonly position: string;
}

export interface FollowerOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly scope: string | undefined;
  readonly retainMs: number;
  readonly verifyUrl: string;
  readonly token: FollowContext['token'];
  readonly onRevocations: (source: string, revocations: readonly FollowedRevocation[]) => void;
  readonly onGap: (source: string) => void;
}

/** A stream that was not heard of for so many of its heartbeats is down. */
const SILENT_HEARTBEATS = 3;

/** Pauses before a source is called again, in milliseconds; half of each is random. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** Follows the streams of revocations, from when it is started until it is closed. */
export class RevocationFollower {
  readonly #streams: readonly Stream[];
  #started = false;
  #allCaughtUp: Promise<unknown> = Promise.resolve();

  constructor(sources: readonly RevocationSource[], options: FollowerOptions) {
    this.#streams = sources.map((source) => new Stream(source, options));
  }

  /** Where the streams stand. */
  get positions(): Positions {
    const known = this.#streams.flatMap(({ source, position }) =>
      position === undefined ? [] : [[source.name, position] as const],
    );
    return Object.fromEntries(known);
  }

  /** Whether everything that is retained has been read. */
  get isCaughtUp(): boolean {
    return this.#streams.every((stream) => stream.isCaughtUp);
  }

  /** Whether a stream is down, so that revocations may not arrive. */
  get isBehind(): boolean {
    return this.#streams.some((stream) => stream.isSilent);
  }

  /** Resolves when everything that is retained has been read, which may be never. */
  start(): Promise<unknown> {
    if (!this.#started) {
      this.#started = true;
      this.#allCaughtUp = Promise.all(this.#streams.map(async (stream) => await stream.start()));
    }
    return this.#allCaughtUp;
  }

  close(): void {
    for (const stream of this.#streams) stream.close();
  }
}

/** One source: called again whenever it ends, or is silent for too long. */
class Stream {
  readonly source: RevocationSource;
  /** Of the last message. */
  position: string | undefined;
  isCaughtUp = false;
  readonly #options: FollowerOptions;
  #isClosed = false;
  /** When it was last known to live, once it is followed. */
  #heardAt = Infinity;
  #calledAt = -Infinity;
  #failures = 0;
  #isSilenceTold = false;
  #endCall: () => void = () => undefined;
  #endPause: () => void = () => undefined;
  #cancelWatch: () => void = () => undefined;
  #tellCaughtUp: () => void = () => undefined;

  constructor(source: RevocationSource, options: FollowerOptions) {
    this.source = source;
    this.#options = options;
  }

  get isSilent(): boolean {
    return this.#options.clock.monotonic() - this.#heardAt >= this.#silentMs;
  }

  /** Resolves when everything that is retained has been read. */
  start(): Promise<void> {
    this.#heardAt = this.#options.clock.monotonic();
    this.#watch();
    void this.#run();
    return new Promise((resolve) => {
      this.#tellCaughtUp = resolve;
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelWatch();
    this.#endCall();
    this.#endPause();
  }

  get #silentMs(): number {
    return SILENT_HEARTBEATS * this.source.heartbeatMs;
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      this.#calledAt = this.#options.clock.monotonic();
      await this.#follow();
      await this.#pause();
    }
  }

  async #pause(): Promise<void> {
    if (this.#isClosed) return;
    const { clock, random } = this.#options;
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures++);
    await new Promise<void>((resolve) => {
      const cancel = clock.after(pauseMs * (1 - random() / 2), resolve, true);
      this.#endPause = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Calls the source once, until it ends or is told to. */
  async #follow(): Promise<void> {
    const { clock, retainMs, verifyUrl, token, onGap } = this.#options;
    const { source } = this;
    const call = new AbortController();
    const { signal } = call;
    // A source that goes on after it was told to end is no longer listened to.
    const sink: RevocationSink = {
      deliver: (messages) => {
        if (!signal.aborted) this.#deliver(messages);
      },
      gap: () => {
        if (!signal.aborted) onGap(source.name);
      },
      caughtUp: () => {
        if (!signal.aborted) this.#onCaughtUp();
      },
    };
    const context = { sink, from: this.position, retainMs, signal, verifyUrl, token, clock };
    // In an async function: it may throw before it returns a promise.
    const follow = async (): Promise<void> => await source.follow(context);
    await new Promise<void>((resolve) => {
      this.#endCall = resolve;
      follow().then(resolve, resolve);
    });
    call.abort(new Error('no longer followed'));
  }

  /** Finds out when nothing is heard any more: a connection may be dead without being closed. */
  #watch(): void {
    const { clock, onGap } = this.#options;
    if (this.isSilent && !this.#isSilenceTold) {
      this.#isSilenceTold = true;
      onGap(this.source.name);
    }
    const leftMs = Math.max(this.#heardAt, this.#calledAt) + this.#silentMs - clock.monotonic();
    if (leftMs <= 0) this.#endCall();
    this.#cancelWatch = clock.after(leftMs > 0 ? leftMs : this.#silentMs, () => this.#watch(), true);
  }

  #deliver(messages: readonly PositionedMessage[]): void {
    const { scope, onRevocations, onGap } = this.#options;
    const { name } = this.source;
    const isForOthers = ({ scope: concerned = scope }: Revocation): boolean =>
      scope !== undefined && concerned !== scope;
    const revocations: FollowedRevocation[] = [];
    let isLost = false;
    for (const { position, json } of messages) {
      const message = isPosition(position) ? parseMessage(json) : undefined;
      if (message === undefined || message.type === 'reset') isLost = true;
      else if (isRevocation(message) && !isForOthers(message)) revocations.push({ ...message, source: name, position });
      if (isPosition(position)) this.position = position;
    }
    this.#heardAt = this.#options.clock.monotonic();
    if (isLost) onGap(name);
    if (revocations.length > 0) onRevocations(name, revocations);
  }

  #onCaughtUp(): void {
    this.#heardAt = this.#options.clock.monotonic();
    this.#failures = 0;
    this.#isSilenceTold = false;
    this.isCaughtUp = true;
    this.#tellCaughtUp();
  }
}
