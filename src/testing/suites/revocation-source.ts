import { deepEqual, equal, ok } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

import { systemClock } from '../../core/clock.js';
import { isBefore, isPosition } from '../../fleet/position.js';
import {
  parseMessage,
  type PositionedMessage,
  type Revocation,
  type RevocationSource,
} from '../../fleet/revocation.js';
import type { ContractCase } from './contract-case.js';
import { until } from './until.js';
import { checkMake } from './validate.js';

/** A source, and how revocations get into its stream. */
export interface RevocationSourceUnderTest {
  readonly source: RevocationSource;
  /** Default: the source's own `publish`. */
  readonly publish?: ((revocation: Revocation) => Promise<void>) | undefined;
  /** What the source follows the stream of. Default: nothing it needs. */
  readonly verifyUrl?: string | undefined;
  readonly token?: string | undefined;
}

/** Makes a source of the stream under test, anew for each case; it may be the same stream. */
export type MakeRevocationSource = () => RevocationSourceUnderTest | Promise<RevocationSourceUnderTest>;

const newRevocation = (): Revocation => ({ type: 'revoked', select: { keyId: randomUUID() } });

/** A call of `follow()`, and what came of it. */
class Following {
  readonly messages: PositionedMessage[] = [];
  gaps = 0;
  caughtUp = 0;
  readonly #abort = new AbortController();
  readonly #done: Promise<unknown>;

  constructor({ source, verifyUrl = '', token = '' }: RevocationSourceUnderTest, from?: string) {
    const sink = {
      deliver: (messages: readonly PositionedMessage[]) => void this.messages.push(...messages),
      gap: () => {
        this.gaps++;
      },
      caughtUp: () => {
        this.caughtUp++;
      },
    };
    const { signal } = this.#abort;
    const context = { sink, from, signal, retainMs: 3_600_000, verifyUrl, clock: systemClock };
    this.#done = source.follow({ ...context, token: async () => await Promise.resolve(token) }).catch(() => undefined);
  }

  /** Where a revocation was delivered; `undefined` if it wasn't. */
  positionOf({ select }: Revocation): string | undefined {
    const isIt = ({ json }: PositionedMessage): boolean => {
      const message = parseMessage(json);
      return message !== undefined && 'select' in message && JSON.stringify(message.select) === JSON.stringify(select);
    };
    return this.messages.find(isIt)?.position;
  }

  async end(): Promise<void> {
    this.#abort.abort(new Error('the end'));
    await this.#done;
  }
}

interface Rig extends RevocationSourceUnderTest {
  readonly publish: (revocation: Revocation) => Promise<void>;
  readonly follow: (from?: string) => Following;
}

const CHECKS: readonly { readonly name: string; readonly run: (rig: Rig) => Promise<void> }[] = [
  {
    name: 'has a name and a heartbeat',
    run: async ({ source, follow }) => {
      ok(source.name !== '' && source.heartbeatMs > 0);
      const following = follow();
      await until(() => following.caughtUp > 0);
      equal(following.gaps, 0);
    },
  },
  {
    name: 'delivers what is published, in order, to all who follow',
    run: async ({ publish, follow }) => {
      const followings = [follow(), follow()];
      for (const following of followings) await until(() => following.caughtUp > 0);
      const revocations = Array.from({ length: 20 }, newRevocation);
      for (const revocation of revocations) await publish(revocation);
      for (const following of followings) {
        await until(() => revocations.every((revocation) => following.positionOf(revocation) !== undefined));
        const positions = revocations.map((revocation) => following.positionOf(revocation)).filter(isPosition);
        equal(positions.length, revocations.length);
        let last = '0-0';
        for (const position of positions) {
          ok(isBefore(last, position), positions.join());
          last = position;
        }
        equal(following.gaps, 0);
      }
    },
  },
  {
    name: 'delivers what is retained to those who come later, before it says that they have caught up',
    run: async ({ publish, follow }) => {
      const revocation = newRevocation();
      await publish(revocation);
      const following = follow();
      await until(() => following.caughtUp > 0);
      ok(following.positionOf(revocation) !== undefined);
    },
  },
  {
    name: 'goes on from a position, without a gap and without a loss',
    run: async ({ publish, follow }) => {
      const [before, missed] = [newRevocation(), newRevocation()];
      const first = follow();
      await until(() => first.caughtUp > 0);
      await publish(before);
      await until(() => first.positionOf(before) !== undefined);
      await first.end();
      await publish(missed);
      const second = follow(first.messages.at(-1)?.position);
      await until(() => second.positionOf(missed) !== undefined);
      deepEqual([second.gaps, second.positionOf(before)], [0, undefined]);
    },
  },
  {
    name: 'tells of a gap if the position is unknown',
    run: async ({ follow }) => {
      const following = follow('1-1');
      await until(() => following.gaps > 0 || following.messages.some(({ json }) => json.includes('"reset"')));
      await until(() => following.caughtUp > 0);
    },
  },
];

/**
 * What every `RevocationSource` must do.
 *
 * @example
 * ```ts
 * for (const { name, run } of revocationSourceCases(() => ({ source: mySource(client) }))) test(name, run);
 * ```
 */
export function revocationSourceCases(makeSource: MakeRevocationSource): readonly ContractCase[] {
  checkMake('makeSource', makeSource);
  return CHECKS.map(({ name, run }) => ({
    name,
    run: async () => {
      const under = await makeSource();
      const followings: Following[] = [];
      const publish = async (revocation: Revocation): Promise<void> => {
        await (under.publish ?? under.source.publish?.bind(under.source))?.(revocation);
      };
      const follow = (from?: string): Following => {
        const following = new Following(under, from);
        followings.push(following);
        return following;
      };
      try {
        await run({ ...under, publish, follow });
      } finally {
        for (const following of followings) await following.end();
      }
    },
  }));
}
