import * as realCrypto from 'node:crypto';
import * as realFs from 'node:fs';
import * as realOs from 'node:os';
import { promisify } from 'node:util';

import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';

import * as bun from '../../src/transport/runtime/bun.js';
import * as deno from '../../src/transport/runtime/deno.js';
import { deferredTransport } from '../../src/transport/runtime/deferred.js';
import { canOpenDescriptor } from '../../src/transport/runtime/descriptors.js';
import * as edge from '../../src/transport/runtime/edge.js';
import { withFresh } from '../../src/transport/runtime/fresh.js';
import * as node from '../../src/transport/runtime/node.js';
import type { Pool } from '../../src/transport/runtime/renewed-pool.js';
import type { TransportRuntime } from '../../src/transport/runtime/runtime.js';
import { isThreadPoolBusy } from '../../src/transport/runtime/thread-pool.js';
import * as web from '../../src/transport/runtime/web.js';
import * as workerd from '../../src/transport/runtime/workerd.js';
import { NO_BODY } from '../../src/transport/body.js';
import type { Exchange, Transport } from '../../src/transport/transport.js';
import { ask, serve } from '../helpers/http.js';

const RUNTIMES: Readonly<Record<string, TransportRuntime>> = { node, bun, deno, workerd, edge, web };
const OPTIONS = { verifyUrl: 'http://127.0.0.1:9/', timeoutMs: 2000, maxConcurrency: 64 };

/** Every open of a file fails by this code. */
function failOpening(code: string): void {
  const openSync = () => {
    throw Object.assign(new Error(code), { code });
  };
  const [fs, os, crypto] = [{ ...realFs, openSync }, realOs, realCrypto];
  const builtins: Readonly<Record<string, object>> = { 'node:fs': fs, 'node:os': os, 'node:crypto': crypto };
  vi.spyOn(process, 'getBuiltinModule').mockImplementation((name: string) => builtins[name]);
}

const permitReading = (state: string): void => {
  vi.stubGlobal('Deno', { permissions: { querySync: () => ({ state }) } });
};

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

describe.each(Object.entries(RUNTIMES))('the runtime %s', (name, runtime) => {
  test('reaches a server where the caller brings nothing, or a fetch', async () => {
    const { origin, heard } = await serve((response) => response.end('fine'));
    const own = runtime.runtimeTransport({ ...OPTIONS, verifyUrl: origin });
    onTestFinished(async () => await own.close?.());
    for (const transport of [own, runtime.fetchTransport(async (url, init) => await fetch(url, init))]) {
      const { status, body } = await transport.send(ask(origin)).response;
      expect([status, Buffer.from(body).toString()]).toEqual([200, 'fine']);
    }
    expect(heard).toHaveLength(2);
  });

  test('knows whether undici can run', () => {
    expect(runtime.dispatcherTransport !== undefined).toBe(['node', 'bun', 'deno'].includes(name));
  });

  test('takes a refusal for an outage only where it can tell one', async () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    const { response } = runtime
      .fetchTransport(async () => await Promise.reject(new TypeError('fetch failed', { cause: refused })))
      .send(ask('http://x.test/'));
    const kind = ['node', 'bun', 'edge'].includes(name) ? 'unreachable' : 'misconfigured';
    await expect(response).rejects.toMatchObject({ kind });
  });
});

describe('whether this process is at its end', () => {
  test('is asked by opening a file', () => {
    expect(canOpenDescriptor()).toBe(true);
  });

  test.each([
    ['EMFILE', false],
    ['ENFILE', false],
    ['ERR_ACCESS_DENIED', undefined],
  ])('an open that fails by %s says %s', (code, expected) => {
    failOpening(code);
    expect(canOpenDescriptor()).toBe(expected);
  });

  test('is known on Node, Bun and Deno', async () => {
    permitReading('granted');
    const fetches = [node, bun, deno].map(({ fetchTransport }) => fetchTransport(fetch));
    const overloaded = async () =>
      await Promise.all(fetches.map(async (transport) => await transport.isOverloaded?.(0)));
    expect(await overloaded()).toEqual([false, false, false]);
    failOpening('EMFILE');
    expect(await overloaded()).toEqual([true, true, true]);
    // Nobody is asked for a permission.
    permitReading('prompt');
    expect(await overloaded()).toEqual([true, true, false]);
  });

  test('cannot be known on the edge, so a failed lookup says nothing there', async () => {
    const failed = Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' });
    const { response } = edge.fetchTransport(async () => await Promise.reject(failed)).send(ask('http://x.test/'));
    await expect(response).rejects.toMatchObject({ kind: 'overloaded' });
  });

  test('shows in the thread pool', async () => {
    expect(await isThreadPoolBusy()).toBe(false);
    const job = async () => await promisify(realCrypto.pbkdf2)('x', 'y', 400_000, 32, 'sha512');
    const jobs = Promise.all(Array.from({ length: 8 }, job));
    const pings = [isThreadPoolBusy(), isThreadPoolBusy()];
    expect(await Promise.all(pings)).toEqual([true, true]);
    const waited = async (ms: number) => await node.fetchTransport(fetch).isOverloaded?.(ms);
    expect([await waited(99), await waited(100)]).toEqual([false, true]);
    await jobs;
    expect(await isThreadPoolBusy()).toBe(false);
  });
});

describe('a connection for one request', () => {
  test('is destroyed after it, and when all are closed, also where the usual transport closes nothing', async () => {
    const end: (() => void)[] = [];
    const send = (): Exchange => ({
      response: new Promise((resolve) =>
        end.push(() => resolve({ status: 200, header: () => undefined, body: NO_BODY })),
      ),
      abort: () => undefined,
    });
    const destroyed: number[] = [];
    const open = (): Pool => {
      const at = destroyed.push(0) - 1;
      return {
        dispatch: () => true,
        close: async () => await Promise.resolve(),
        destroy: async () => await Promise.resolve(void (destroyed[at] = 1)),
      };
    };
    const transport = withFresh({ send }, 1, () => ({ send }), open, open);
    const [first] = [1, 2].map(() => transport.send(ask('http://x.test'), { fresh: true }));
    end[0]?.();
    await first?.response;
    expect(destroyed).toEqual([1, 0]);
    await transport.close?.();
    expect(destroyed).toEqual([1, 1]);
  });
});

describe('a transport that is loaded by the first request', () => {
  const answer = { status: 200, header: () => undefined, body: new Uint8Array() };

  function deferred(changes: Partial<Exchange> = {}) {
    let loads = 0;
    let finish: () => void = () => undefined;
    const abort = vi.fn();
    const close = vi.fn(async () => await Promise.resolve());
    const send = vi.fn((): Exchange => ({ response: Promise.resolve(answer), abort, ...changes }));
    const inner: Transport = {
      send,
      close,
      isOverloaded: async () => await Promise.resolve(true),
    };
    const transport = deferredTransport(async () => {
      loads++;
      await new Promise<void>((resolve) => (finish = resolve));
      return inner;
    });
    return { transport, send, abort, close, finish: () => finish(), loads: () => loads };
  }

  test('is loaded once, and then called at once', async () => {
    const { transport, send, finish, loads } = deferred();
    const first = [transport.send(ask('http://x.test')), transport.send(ask('http://x.test'))];
    expect(first.map(({ isSent }) => isSent?.())).toEqual([false, false]);
    expect(await transport.isOverloaded?.(0)).toBe(false);
    finish();
    for (const { response, isSent } of first) {
      expect(await response).toBe(answer);
      expect(isSent?.()).toBe(true);
    }
    await transport.warmUp?.();
    transport.send(ask('http://x.test'));
    expect(send).toHaveBeenCalledTimes(3);
    expect(await transport.isOverloaded?.(0)).toBe(true);
    expect(loads()).toBe(1);
  });

  test('says what the inner one says of a request', async () => {
    const { transport, abort, finish } = deferred({ isSent: () => false });
    const exchange = transport.send(ask('http://x.test'));
    finish();
    await exchange.response;
    expect(exchange.isSent?.()).toBe(false);
    const reason = new Error('the time is up');
    exchange.abort(reason);
    expect(abort).toHaveBeenCalledWith(reason);
  });

  test('sends nothing that is given up before it is there', async () => {
    const { transport, send, finish } = deferred();
    const exchange = transport.send(ask('http://x.test'));
    const reason = new Error('the time is up');
    exchange.abort(reason);
    finish();
    await expect(exchange.response).rejects.toBe(reason);
    expect(send).not.toHaveBeenCalled();
  });

  test('is not overloaded where it cannot tell', async () => {
    const none = () => expect.fail('nothing is sent');
    const transport = deferredTransport(async () => await Promise.resolve({ send: none }));
    expect(await transport.isOverloaded?.(0)).toBe(false);
    await transport.warmUp?.();
    expect(await transport.isOverloaded?.(0)).toBe(false);
  });

  test('is closed only where it was loaded', async () => {
    const { transport, close, finish } = deferred();
    await transport.close?.();
    expect(close).not.toHaveBeenCalled();
    const warm = transport.warmUp?.();
    finish();
    await warm;
    await transport.close?.();
    expect(close).toHaveBeenCalledOnce();
  });
});
