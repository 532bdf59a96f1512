import { testClock } from 'keyverify/testing';

import { Call, type CallContext, type CallOptions } from '../../src/client/call.js';
import { ServiceToken } from '../../src/client/token.js';
import type { Instant } from '../../src/core/clock.js';
import type { TokenSource } from '../../src/core/token.js';
import { claimsAsSent } from '../../src/protocol/claims.js';
import { defaultProtocol } from '../../src/protocol/default.js';
import { Deadline } from '../../src/resilience/deadline.js';
import type { WireResponse } from '../../src/transport/transport.js';
import { FakeTransport, type Reply } from './transport.js';

export const KEY = 'sk-good-0123456789abcdef';
export const TOKEN = 'service-token-0123456789';

export interface CallSetup extends Partial<Omit<CallOptions<unknown>, 'clock'>> {
  readonly source?: TokenSource;
  /** What else the call is told. */
  readonly context?: Partial<CallContext>;
  readonly shares?: boolean;
  readonly retries?: number;
  readonly timeoutMs?: number;
  /** How the first requests are answered, as soon as they are sent. */
  readonly replies?: readonly Reply[];
}

/** A call that has started, over a transport whose requests the test answers. */
export function startCall(setup: CallSetup = {}) {
  const { source = TOKEN, shares = true, retries = 1, timeoutMs = 2_000, replies = [], context, ...options } = setup;
  const clock = testClock();
  const startedAt = { wall: clock.wall(), mono: clock.monotonic() };
  const transport = new FakeTransport();
  transport.script = () => replies[transport.requests.length - 1];
  const token = new ServiceToken(source);
  const told: { readonly sent: Instant[]; suspects: number } = { sent: [], suspects: 0 };
  const call = new Call<unknown>(
    {
      verifyUrl: 'http://admin.test/verify',
      scope: undefined,
      protocol: defaultProtocol,
      readClaims: claimsAsSent,
      clock,
      random: () => 0,
      ...options,
    },
    { transport, token, sharesPromises: shares },
    {
      key: KEY,
      retries,
      deadline: new Deadline(clock, timeoutMs),
      onSent: (at) => told.sent.push(at),
      onSuspect: () => told.suspects++,
      ...context,
    },
  );
  const outcome = call.run();
  const landed: { value: unknown; afterMs: number | undefined } = { value: undefined, afterMs: undefined };
  void outcome.then((value) => Object.assign(landed, { value, afterMs: clock.monotonic() - startedAt.mono }));
  /** Answers the request of this number, counted from 0. */
  const answer = async (at: number, reply: WireResponse | Error): Promise<void> => {
    transport.requests[at]?.answer(reply);
    await clock.advance(0);
  };
  /** Lets time pass until there is an outcome. */
  const end = async () => {
    await clock.advance(0);
    for (let passed = 0; landed.afterMs === undefined && passed < timeoutMs; passed += 10) await clock.advance(10);
    return await outcome;
  };
  return { call, clock, startedAt, transport, requests: transport.requests, token, told, landed, answer, end };
}
