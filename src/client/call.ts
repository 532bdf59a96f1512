import type { Clock, Instant } from '../core/clock.js';
import type { Verdict } from '../cache/verdict-cache.js';
import type { AttemptFailure } from '../core/failure.js';
import { rejected, verified } from '../core/result.js';
import { isObject } from '../core/schema.js';
import type { ClaimsRead, ClaimsReader } from '../protocol/claims.js';
import { type Deadline, TIMED_OUT } from '../resilience/deadline.js';
import { transportProblem } from '../transport/classify.js';
import { decode, encode } from '../protocol/default.js';
import { retriesLeft, retryDelayMs } from '../resilience/retry.js';
import { redactError } from '../core/redact.js';
import type { ServiceToken } from './token.js';
import type { Exchange, ServerResponse, Transport } from '../transport/transport.js';

export interface CallOptions<Claims> {
  readonly verifyUrl: string;
  readonly scope: string | undefined;
  readonly retries: number;
  readonly readClaims: ClaimsReader<Claims>;
  readonly clock: Clock;
  readonly random: () => number;
}

/** A verdict, and when the request went out that it answers: its age counts from there. */
export type FetchedVerdict<Claims> = Verdict<Claims> & { readonly askedAt: Instant };

/** What one inquiry works with. */
export interface CallDeps {
  readonly transport: Transport;
  readonly token: ServiceToken;
  /** Whether a promise made for one caller may be awaited by another, see `#platform`. */
  readonly shares: boolean;
}

/** One question on its way to the key server: attempts and retries within a deadline. It never rejects. */
export class Call<Claims> {
  /** How many requests were sent. */
  attempts = 0;
  /** Whether anything came back, whatever it said. */
  answered = false;
  readonly #settings: CallOptions<Claims>;
  readonly #deps: CallDeps;
  readonly #key: string;
  readonly #onSend: (at: Instant | undefined) => void;
  #renewed = false;

  constructor(settings: CallOptions<Claims>, means: CallDeps, key: string, onSend: (at: Instant | undefined) => void) {
    this.#settings = settings;
    this.#deps = means;
    this.#key = key;
    this.#onSend = onSend;
  }

  async run(deadline: Deadline): Promise<FetchedVerdict<Claims> | AttemptFailure> {
    const { retries, random } = this.#settings;
    for (let attempt = 1; ; attempt++) {
      // Equal shares of what is left: a server that hangs leaves time for the retry.
      const outcome = await this.#attempt(deadline.share(retries + 2 - attempt));
      if (!('kind' in outcome)) return outcome;
      const delay = retryDelayMs(outcome, attempt, random);
      if (retriesLeft(outcome, attempt, retries) <= 0 || delay >= deadline.leftMs) return outcome;
      this.#onSend(undefined);
      await deadline.sleep(delay);
    }
  }

  async #attempt(deadline: Deadline): Promise<FetchedVerdict<Claims> | AttemptFailure> {
    try {
      const token = this.#deps.token.current ?? (await this.#fetchToken(deadline));
      if (typeof token !== 'string') return token;
      const { clock } = this.#settings;
      const askedAt = { wall: clock.wall(), mono: clock.monotonic() };
      const secrets = [this.#key, token];
      this.#onSend(askedAt);
      let response: ServerResponse | typeof TIMED_OUT;
      try {
        const exchange = this.#send(token);
        response = await deadline.race(exchange.response);
        if (response === TIMED_OUT) exchange.abort(new Error('the time is up'));
      } catch (error) {
        return transportProblem(error, secrets);
      }
      if (response === TIMED_OUT) return TIMEOUT;
      this.answered = true;
      if (!isObject(response)) return UNUSABLE;
      if (response.status === 401 && this.#deps.token.renewable && !this.#renewed) {
        this.#renewed = true;
        this.#deps.token.refuse(token);
        return await this.#attempt(deadline);
      }
      try {
        const finding = this.#read(response, secrets, askedAt, deadline);
        return finding instanceof Promise ? await finding : finding;
      } catch (error) {
        return unreadable('it could not be read', redactError(error, secrets));
      }
    } catch {
      // What a caller's transport or fetch resolves or rejects with may be anything; a slot must not be lost on it.
      return UNUSABLE;
    }
  }

  async #fetchToken(deadline: Deadline): Promise<string | AttemptFailure> {
    const { token, shares } = this.#deps;
    try {
      const fetched = await deadline.race(token.fetch(shares));
      if (fetched !== TIMED_OUT) return fetched;
      token.forget();
      return misconfigured('serviceToken() gave no token in time');
    } catch (error) {
      return misconfigured('serviceToken() failed', redactError(error, [this.#key]));
    }
  }

  #send(token: string): Exchange {
    const { verifyUrl, scope } = this.#settings;
    this.attempts++;
    return this.#deps.transport.send(encode(verifyUrl, token, this.#key, scope));
  }

  /** Only a schema of the caller's may make this wait. */
  #read(
    response: ServerResponse,
    secrets: readonly string[],
    askedAt: Instant,
    deadline: Deadline,
  ): FetchedVerdict<Claims> | AttemptFailure | Promise<FetchedVerdict<Claims> | AttemptFailure> {
    const answer = decode(response, secrets, askedAt.wall);
    if ('kind' in answer) return answer;
    const { verdict, maxAgeMs } = answer;
    if (verdict.kind === 'rejected') return { result: verdict.result, maxAgeMs, askedAt };
    const conclude = (read: ClaimsRead<Claims> | typeof TIMED_OUT): FetchedVerdict<Claims> | AttemptFailure => {
      if (read === TIMED_OUT) return unreadable('the schema in claims did not finish in time');
      if ('wrong' in read) return unreadable(`its claims do not fit the schema: ${read.wrong}`);
      const { client, tenant, keyId, expiresAt } = verdict;
      // It took time to answer, and the schema may have, too.
      if (expiresAt !== undefined && expiresAt <= this.#now(askedAt))
        return { result: rejected('server', 'expired'), maxAgeMs, askedAt };
      const identity = { client, tenant, keyId, claims: read.claims, verifiedAt: askedAt.wall, expiresAt };
      return { result: verified('server', identity), maxAgeMs, askedAt };
    };
    const reading = this.#settings.readClaims(verdict.claims);
    return reading instanceof Promise ? deadline.race(reading).then(conclude) : conclude(reading);
  }

  /** Milliseconds since the epoch, by whichever clock went further since then. */
  #now({ wall, mono }: Instant): number {
    const { clock } = this.#settings;
    return Math.max(clock.wall(), wall + clock.monotonic() - mono);
  }
}

const TIMEOUT: AttemptFailure = { kind: 'timeout', message: 'keyverify: the key server gave no answer in time' };

const misconfigured = (message: string, cause?: Error): AttemptFailure => ({
  kind: 'misconfigured',
  message: `keyverify: ${message}`,
  cause,
});

const UNUSABLE = misconfigured('what transport, fetch or serviceToken() gave is neither an answer nor an error');

const unreadable = (message: string, cause?: Error): AttemptFailure => ({
  kind: 'invalid_response',
  message: `keyverify: the key server's answer was refused: ${message}`,
  cause,
});
