import { testClock } from 'keyverify/testing';

import type { FetchedVerdict, KeyQuestion } from '../../src/client/question.js';
import { KeyServerClient, type KeyServerClientOptions } from '../../src/client/key-server-client.js';
import { ServiceToken } from '../../src/client/token.js';
import type { VerifyFailure } from '../../src/core/failure.js';
import type { TokenSource } from '../../src/core/token.js';
import { claimsAsSent } from '../../src/protocol/claims.js';
import { defaultProtocol } from '../../src/protocol/default.js';
import type { WireResponse } from '../../src/transport/transport.js';
import { FakeTransport, type Reply, type SentRequest } from './transport.js';

export interface ClientSetup extends Partial<Omit<KeyServerClientOptions<unknown>, 'clock'>> {
  readonly source?: TokenSource;
  readonly sharesPromises?: boolean;
}

export interface Asked {
  /** `undefined` until it is known. */
  outcome: FetchedVerdict<unknown> | VerifyFailure | undefined;
}

/** A client of a key server that answers as the test says. */
export function clientOf(setup: ClientSetup = {}) {
  const { source = 'service-token', sharesPromises = true, ...options } = setup;
  const clock = testClock();
  const transport = new FakeTransport();
  const events: string[] = [];
  let controls = 0;
  const client = new KeyServerClient<unknown>(
    {
      verifyUrl: 'http://admin.test/verify',
      scope: undefined,
      protocol: defaultProtocol,
      readClaims: claimsAsSent,
      clock,
      random: () => 0,
      timeoutMs: 2_000,
      retries: 0,
      maxConcurrency: 8,
      breaker: { failureThreshold: 3, openMs: 1_000, maxOpenMs: 5_000 },
      controlKey: () => `control-${++controls}`,
      refresh: (fingerprint) => events.push(`refresh ${fingerprint}`),
      onBreaker: (state, failure) => events.push(`breaker ${state} ${String(failure?.kind)}`),
      onControl: (failure, durationMs) =>
        events.push(
          `control ${failure === undefined ? 'answered' : `${failure.kind} ${failure.evidence}`} ${String(durationMs)}`,
        ),
      onAsk: async (_event, ask) => await ask(),
      publicUrl: 'http://admin.test/verify',
      ...options,
    },
    { transport, token: new ServiceToken(source), sharesPromises },
  );
  /** Asks, and waits for no more than promises. */
  const ask = async (key = 'sk-1', question: Partial<KeyQuestion> = {}, trickle?: boolean): Promise<Asked> => {
    const asked: Asked = { outcome: undefined };
    const event = { purpose: 'verify', url: 'http://admin.test/verify' } as const;
    const startedAt = clock.monotonic();
    const whole = {
      event,
      fingerprint: key,
      key,
      startedAt,
      isKnown: false,
      wasGood: false,
      mayOpen: false,
      backoff: undefined,
      onSent: () => undefined,
      ...question,
    };
    void client.ask(whole, trickle).then((outcome) => (asked.outcome = outcome));
    await clock.advance(0);
    return asked;
  };
  const sent = (key: string): SentRequest => {
    const request = transport.requests.findLast((request) => request.key === key);
    if (request === undefined) throw new Error(`${key} was not asked about`);
    return request;
  };
  return {
    clock,
    transport,
    client,
    events,
    ask,
    /** Answers the latest request about this key. */
    answer: async (key: string, reply: WireResponse | Error): Promise<void> => {
      sent(key).answer(reply);
      await clock.advance(0);
    },
    /** Answers every request at once. */
    answerAll: (reply: Reply): void => {
      transport.script = () => reply;
    },
    keys: (): readonly string[] => transport.requests.map(({ key }) => key),
    blocked: () => client.gate.blockedBy(clock.monotonic()),
  };
}
