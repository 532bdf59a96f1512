import { InvalidOptionsError } from '../core/errors.js';
import type { RevocationsHealth } from '../core/health.js';
import { FollowedStream, type FollowerOptions } from './followed-stream.js';
import { NOWHERE, type Positions } from './position.js';
import type { RevocationSource } from './revocation.js';
import { comparePositions, type KnownPositions, type StreamPlace } from './stream-place.js';
import { publicName } from './stream-url.js';

/** Follows the streams of revocations, from when it is started until it is closed. */
export class RevocationFollower {
  readonly #streams: readonly FollowedStream[];
  #started = false;
  #allCaughtUp: Promise<unknown> = Promise.resolve();

  /** Throws `InvalidOptionsError` if two sources have the same name: positions are told apart by it. */
  constructor(sources: readonly RevocationSource[], options: FollowerOptions) {
    const issues = nameIssues(sources);
    if (issues.length > 0) throw new InvalidOptionsError(issues);
    this.#streams = sources.map((source) => new FollowedStream(source, options));
  }

  /** Where the streams stand. */
  get positions(): Positions {
    return Object.fromEntries(this.#places.map(([source, { position = NOWHERE }]) => [source, position]));
  }

  /** What the positions of another process say here, which asked then on the monotonic clock. */
  compare(positions: Positions, mono: number): KnownPositions {
    return comparePositions(this.#places, positions, mono);
  }

  get #places(): readonly (readonly [string, StreamPlace])[] {
    return this.#streams.map(({ source, place }) => [source.name, place]);
  }

  /** Whether everything that is retained has been read. */
  get isCaughtUp(): boolean {
    return this.#streams.every((stream) => stream.isCaughtUp);
  }

  /** Whether a stream is down, so that revocations may not arrive. */
  get isDown(): boolean {
    return this.#streams.some((stream) => stream.isSilent);
  }

  get health(): RevocationsHealth {
    const silent = this.#streams.filter((stream) => stream.isSilent);
    const starting = this.#streams.filter((stream) => !stream.isCaughtUp);
    const unsteady = this.#streams.filter((stream) => stream.isUnsteady);
    const [status, streams] = (
      [
        ['down', silent],
        ['starting', starting],
        ['degraded', unsteady],
      ] as const
    ).find(([, streams]) => streams.length > 0) ?? ['ok', this.#streams];
    const since = streams.map((stream) => stream.since);
    return {
      status,
      since: status === 'ok' ? Math.max(...since) : Math.min(...since),
      lagMs: Math.max(...this.#streams.map((stream) => stream.lagMs)),
    };
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

function nameIssues(sources: readonly RevocationSource[]): readonly string[] {
  return sources.flatMap(({ name }, at) => {
    const first = sources.findIndex((source) => source.name === name);
    if (first === at) return [];
    return [`revocations.${at}: has the name of revocations.${first}, ${publicName(name)}; ${OWN_NAME}`];
  });
}

const OWN_NAME = 'give each a url (without its query) or a prefix of its own';
