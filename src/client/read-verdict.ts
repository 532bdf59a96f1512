import type { Clock, Instant } from '../core/clock.js';
import type { AttemptFailure } from '../core/failure.js';
import { redact, redactError } from '../core/redact.js';
import { rejected, verified } from '../core/result.js';
import type { ClaimsRead, ClaimsReader } from '../protocol/claims.js';
import type { DecodedVerdict } from '../protocol/protocol.js';
import type { AttemptOutcome } from './attempt.js';
import { misconfigured } from './call-failures.js';

export interface ReadVerdictOptions<Claims> {
  readonly readClaims: ClaimsReader<Claims>;
  readonly clock: Clock;
}

/** The verdict that a decoded answer is. Waits only for a schema of the caller's that is asynchronous. */
export function readVerdict<Claims>(
  decoded: DecodedVerdict,
  askedAt: Instant,
  { readClaims, clock }: ReadVerdictOptions<Claims>,
  key: string,
  source: 'server' | 'shared' = 'server',
): AttemptOutcome<Claims> | Promise<AttemptOutcome<Claims>> {
  const { freshness } = decoded;
  if (decoded.kind === 'rejected') return { result: rejected(source, decoded.result.reason), freshness, askedAt };
  const conclude = (read: ClaimsRead<Claims>): AttemptOutcome<Claims> => {
    if ('wrong' in read)
      return misconfigured(`the verdict does not fit the schema in claims: ${redact(read.wrong, [key])}`);
    const { client, tenant, keyId, expiresAt, claims: rawClaims } = decoded;
    // The answer took time, and the schema may have, too.
    if (expiresAt !== undefined && expiresAt <= now(clock, askedAt))
      return { result: rejected(source, 'expired'), freshness, askedAt };
    const identity = { client, tenant, keyId, claims: read.claims, verifiedAt: askedAt.wall, expiresAt };
    return { result: verified(source, identity), freshness, askedAt, rawClaims };
  };
  const failed = (error: unknown): AttemptFailure =>
    misconfigured('the schema in claims failed', redactError(error, [key]));
  try {
    const read = readClaims(decoded.claims);
    return read instanceof Promise ? read.then(conclude).catch(failed) : conclude(read);
  } catch (error) {
    return failed(error);
  }
}

/** Epoch milliseconds, by the clock that has gone further since then. */
function now(clock: Clock, { wall, mono }: Instant): number {
  return Math.max(clock.wall(), wall + clock.monotonic() - mono);
}
