import type { Clock } from '../core/clock.js';
import { NotPublishedError } from '../core/errors.js';
import type { StoredSelector } from '../core/selector.js';
import { Deadline, TIMED_OUT } from '../resilience/deadline.js';
import { parseMessage, toJson, type RevocationSource } from './revocation.js';

export interface PublishOptions {
  readonly revocations: readonly RevocationSource[];
  readonly timeoutMs: number;
  readonly clock: Clock;
}

const UNSURE = 'keyverify: the revocation may not have reached the other processes';

/** Publishes a revocation to every process. Rejects if that failed, or if there is no source that can. */
export async function publishRevocation(
  select: StoredSelector,
  { revocations, timeoutMs, clock }: PublishOptions,
  redacted: (error: unknown) => Error,
): Promise<void> {
  const publishers = revocations.filter((source) => source.publish !== undefined);
  if (publishers.length === 0)
    throw new NotPublishedError(
      'keyverify: none of the sources in revocations can publish; forgotten in this process only',
    );
  const message = { type: 'revoked' as const, select, at: clock.wall() };
  if (parseMessage(toJson(message)) === undefined)
    throw new NotPublishedError('keyverify: a name is too long to be published, more than 512 characters');
  const work = Promise.all(publishers.map(async (source) => await source.publish?.(message)));
  const done: unknown = await new Deadline(clock, timeoutMs).race(work).catch(redacted);
  if (!(done instanceof Error) && done !== TIMED_OUT) return;
  throw new NotPublishedError(UNSURE, done instanceof Error ? { cause: done } : {});
}
