import { createHash } from 'node:crypto';

import * as fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';

import { toHex } from '../../src/core/fingerprint.js';
import * as isolate from '../../src/platform/isolate.js';
import * as node from '../../src/platform/node.js';
import type { Platform } from '../../src/platform/platform.js';
import * as server from '../../src/platform/server.js';
import * as web from '../../src/platform/web.js';
import { globalFetchTransport } from '../../src/transport/fetch.js';
import type { Transport } from '../../src/transport/transport.js';
import { ask, serve } from '../helpers/http.js';
import { until } from '../helpers/rig.js';

const PLATFORMS: readonly (readonly [string, Platform])[] = [
  ['node', node],
  ['server', server],
  ['web', web],
  ['isolate', isolate],
];

/** Anything that UTF-8 can say: every code point but the halves of surrogate pairs. */
const CODE_POINT = fc
  .integer({ min: 0, max: 0x10f7ff })
  .map((at) => String.fromCodePoint(at < 0xd800 ? at : at + 0x800));
const TEXT = fc.array(CODE_POINT, { maxLength: 200 }).map((points) => points.join(''));

afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

const settings = (origin: string, maxConcurrency = 2) => ({
  verifyUrl: `${origin}/verify`,
  maxConcurrency,
  timeoutMs: 2_000,
});

describe.each(PLATFORMS)('the platform %s', (_name, platform) => {
  test('hashes as everybody does', () => {
    expect(toHex(platform.sha256(''))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(toHex(platform.sha256('abc'))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    fc.assert(
      fc.property(TEXT, (text) => {
        expect(toHex(platform.sha256(text))).toBe(createHash('sha256').update(text).digest('hex'));
      }),
      { numRuns: 200 },
    );
  });

  test('reads the environment', () => {
    vi.stubEnv('KEYVERIFY_TEST', 'here');
    expect(platform.env('KEYVERIFY_TEST')).toBe('here');
    expect(platform.env('KEYVERIFY_NOT_SET')).toBeUndefined();
  });

  test('does without an environment, or without the right to read it', () => {
    for (const absent of [undefined, {}]) {
      vi.stubGlobal('process', absent);
      const value = platform.env('PATH');
      vi.unstubAllGlobals();
      expect(value).toBeUndefined();
    }
    vi.stubGlobal('process', {
      get env() {
        throw new Error('permission denied');
      },
    });
    const value = platform.env('PATH');
    vi.unstubAllGlobals();
    expect(value).toBeUndefined();
  });

  test('can ask', async () => {
    const { origin, heard } = await serve((response) => response.end('fine'));
    const transport = platform.ownTransport?.(settings(origin)) ?? globalFetchTransport();
    const { status, body } = await transport.send(ask(`${origin}/verify`)).response;
    expect([status, Buffer.from(body).toString()]).toEqual([200, 'fine']);
    expect(heard).toMatchObject([{ method: 'POST', path: '/verify' }]);
    await transport.close?.();
  });
});

test('promises are shared between requests everywhere but in an isolate', () => {
  expect(PLATFORMS.map(([name, { sharesPromises }]) => [name, sharesPromises])).toEqual([
    ['node', true],
    ['server', true],
    ['web', true],
    ['isolate', false],
  ]);
});

describe('the pool on Node', () => {
  function pool(options: ReturnType<typeof settings>): Transport {
    const transport = node.ownTransport?.(options);
    return transport ?? expect.fail('there is none');
  }

  test('has a connection for each question that may be asked at once, and no more', async () => {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const server = await serve((response) => void released.then(() => response.end()));
    const transport = pool(settings(server.origin, 2));
    const exchanges = [1, 2, 3].map(() => transport.send(ask(server.origin)));
    await until(() => server.heard.length === 2);
    release();
    await Promise.all(exchanges.map(async ({ response }) => await response));
    expect(server.connections).toBe(2);
    await transport.close?.();
  });

  test('keeps its connections for the next question', async () => {
    const server = await serve((response) => response.end());
    const transport = pool(settings(server.origin, 1));
    await transport.warmUp?.();
    for (let times = 0; times < 3; times++) await transport.send(ask(server.origin)).response;
    expect(server.connections).toBe(1);
    await transport.close?.();
  });

  test('ends what is in the air when it is closed, and may be closed again', async () => {
    const server = await serve(() => undefined);
    const transport = pool(settings(server.origin));
    const exchange = transport.send(ask(server.origin));
    const rejection = expect(exchange.response).rejects.toMatchObject({ code: 'UND_ERR_DESTROYED' });
    await until(() => server.heard.length === 1);
    await transport.close?.();
    await rejection;
    await transport.close?.();
    await until(() => server.cutOff === 1);
  });

  test('is closed in an instant where it was never used', async () => {
    await pool(settings('http://127.0.0.1:1')).close?.();
  });
});
