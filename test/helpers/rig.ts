import { onTestFinished } from 'vitest';

import { KeyVerifier, type KeyVerifierOptions, type VerifyResult } from 'keyverify';
import type { DefinedProtocol } from 'keyverify/protocols';
import { startKeyServer, type KeyRecord, type KeyServer, testClock, type TestClock } from 'keyverify/testing';

export const GOOD = 'sk-good-0123456789abcdef';
export const OTHER = 'sk-other-0123456789abcdef';
export const TOKEN = 'service-token-0123456789';
export const ACME: KeyRecord = { client: 'acme', tenant: 'cust-A', keyId: 'k-1', claims: { plan: 'pro' } };

/** A key server on a real socket, a clock that stands still until it is told to go on, and a way to build verifiers. */
export interface Rig {
  readonly server: KeyServer;
  readonly clock: TestClock;
  readonly build: <FailOpen extends boolean = false>(options?: KeyVerifierOptions<FailOpen>) => KeyVerifier<FailOpen>;
}

/** The key server and its verifiers speak the protocol. Default: the contract. */
export async function rig(
  keys: Readonly<Record<string, KeyRecord>> = { [GOOD]: ACME },
  protocol?: DefinedProtocol,
): Promise<Rig> {
  const clock = testClock();
  const serviceToken = protocol?.serviceToken === undefined ? TOKEN : undefined;
  const serviceTokens = serviceToken === undefined ? {} : { serviceTokens: [serviceToken] };
  const server = await startKeyServer({ keys, protocol, ...serviceTokens, now: () => clock.wall() });
  onTestFinished(async () => await server.close());
  return {
    server,
    clock,
    build(options) {
      const verifier = new KeyVerifier({
        verifyUrl: server.verifyUrl,
        protocol,
        serviceToken,
        clock,
        // No jitter: a TTL is what it says, and a retry doesn't wait.
        random: () => 0,
        logger: { warn: () => undefined },
        ...options,
      });
      onTestFinished(async () => {
        await server.stop();
        await settle(verifier.close(), clock, 60_000);
      });
      return verifier;
    },
  };
}

/** Lets the real world go on for a moment: sockets, timers, promises. */
export async function breathe(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Waits for something in the real world to have happened. */
export async function until(happened: () => boolean): Promise<void> {
  while (!happened()) await breathe();
}

/** Lets time pass, in small steps and with room for the real world in between, until the promise settles. */
export async function settle<T>(promise: Promise<T>, clock: TestClock, atMostMs: number, stepMs = 10): Promise<T> {
  return await clock.settle(promise, atMostMs, stepMs);
}

/** What a result says, in the fewest words: `valid cache`, `rejected stale revoked`, `closed timeout`, ... */
export function brief(result: VerifyResult<unknown, boolean>): string {
  if (result.source === 'fail-open') return `open ${result.failure.kind}`;
  if (result.source === 'fail-closed') return `closed ${result.failure.kind}`;
  return result.valid ? `valid ${result.source}` : `rejected ${result.source} ${result.reason}`;
}
