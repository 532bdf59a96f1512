import { AssertionError, deepEqual, equal, ok, rejects } from 'node:assert/strict';
import type { ServerResponse } from 'node:http';

import {
  isTransportError,
  MAX_RESPONSE_BYTES,
  type Exchange,
  type Transport,
  type TransportFailureKind,
  type WireRequest,
} from '../../transport/transport.js';
import type { ContractCase } from './contract-case.js';
import { ignore, loopback, rawLoopback, type Loopback } from './loopback.js';
import { until } from './until.js';
import { checkMake } from './validate.js';

/** Makes the transport under test, for a key server at this URL. */
export type MakeTransport = (verifyUrl: string) => Transport;

interface TransportCheck {
  readonly name: string;
  readonly run: (makeTransport: MakeTransport) => Promise<void>;
}

/** What a case works with. */
interface TransportRig {
  readonly send: (changes?: Partial<WireRequest>) => Exchange;
}

/** Far beyond what a case takes on a busy machine. */
const PATIENCE_MS = 10_000;

async function on<S extends Pick<Loopback, 'origin' | 'close'>>(
  starting: Promise<S>,
  makeTransport: MakeTransport,
  check: (rig: TransportRig, server: S) => Promise<void>,
): Promise<void> {
  const server = await starting;
  const url = `${server.origin}/verify?v=1`;
  const transport = makeTransport(url);
  const send: TransportRig['send'] = (changes) =>
    transport.send({
      url,
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-service-token': 'token-1' },
      body: '{"key":"sk-1"}',
      needsBody: (status) => status === 200,
      ...changes,
    });
  try {
    // A transport that hangs is one that fails.
    const late = new Promise((_resolve, reject) => {
      setTimeout(() => reject(new AssertionError({ message: 'it hangs' })), PATIENCE_MS).unref();
    });
    await Promise.race([check({ send }, server), late]);
  } finally {
    await transport.close?.();
    await server.close();
  }
}

async function fails(response: Promise<unknown>, kind: TransportFailureKind, unconnected = false): Promise<void> {
  await rejects(response, (error) => {
    ok(isTransportError(error), `it is no TransportError: ${String(error)}`);
    deepEqual([error.kind, error.unconnected], [kind, unconnected]);
    return true;
  });
}

const answer = (response: ServerResponse): unknown => response.end('{}');

const CHECKS: readonly TransportCheck[] = [
  {
    name: 'sends the request as it is, and hands on what came back',
    run: async (makeTransport) => {
      const server = loopback((response) => response.setHeader('x-one', '1').end('{"a":1}'));
      await on(server, makeTransport, async ({ send }, { received }) => {
        const { status, header, body } = await send().response;
        deepEqual([status, Buffer.from(body).toString()], [200, '{"a":1}']);
        deepEqual([header('x-one'), header('x-two')], ['1', undefined]);
        const [request] = received;
        deepEqual([request?.method, request?.path, request?.body], ['POST', '/verify?v=1', '{"key":"sk-1"}']);
        deepEqual(
          [request?.headers['content-type'], request?.headers['x-service-token']],
          ['application/json', 'token-1'],
        );
      });
    },
  },
  {
    name: 'sends a request without a body',
    run: async (makeTransport) => {
      await on(loopback(answer), makeTransport, async ({ send }, { received }) => {
        equal((await send({ method: 'GET', body: undefined }).response).status, 200);
        deepEqual([received[0]?.method, received[0]?.body], ['GET', '']);
      });
    },
  },
  {
    name: 'hands on the body of every status that needs one, and of no other',
    run: async (makeTransport) => {
      await on(
        loopback((response) => response.writeHead(404).end('why')),
        makeTransport,
        async ({ send }) => {
          const kept = await send({ needsBody: (status) => status === 404 }).response;
          deepEqual([kept.status, Buffer.from(kept.body).toString()], [404, 'why']);
          const dropped = await send().response;
          deepEqual([dropped.status, dropped.body.byteLength], [404, 0]);
        },
      );
    },
  },
  {
    name: 'goes by a status that needs no body, though its body never ends or is cut off',
    run: async (makeTransport) => {
      const endless = loopback((response) => response.writeHead(503, { 'retry-after': '3' }).write('never ends'));
      await on(endless, makeTransport, async ({ send }, server) => {
        const { status, header } = await send().response;
        deepEqual([status, header('retry-after')], [503, '3']);
        await until(() => server.cutOff === 1);
      });
      const cut = rawLoopback((socket) => socket.end('HTTP/1.1 429 Too Many\r\ncontent-length: 100\r\n\r\nhalf'));
      await on(cut, makeTransport, async ({ send }) => equal((await send().response).status, 429));
    },
  },
  {
    name: 'takes a body up to the limit, and refuses one byte more',
    run: async (makeTransport) => {
      let size = MAX_RESPONSE_BYTES;
      await on(
        loopback((response) => response.end(Buffer.alloc(size))),
        makeTransport,
        async ({ send }) => {
          equal((await send().response).body.byteLength, MAX_RESPONSE_BYTES);
          size++;
          await fails(send().response, 'invalid_response');
        },
      );
    },
  },
  {
    name: 'hangs up on a body that has no end',
    run: async (makeTransport) => {
      const endless = loopback((response) => response.write(Buffer.alloc(16 * MAX_RESPONSE_BYTES)));
      await on(endless, makeTransport, async ({ send }, server) => {
        await fails(send().response, 'invalid_response');
        await until(() => server.cutOff === 1);
      });
    },
  },
  {
    name: 'follows no redirect',
    run: async (makeTransport) => {
      const elsewhere = await loopback(answer);
      const server = loopback((response) => response.writeHead(307, { location: elsewhere.origin }).end());
      try {
        await on(server, makeTransport, async ({ send }) => {
          const { status } = await send().response;
          ok(status >= 300 && status < 400, `status ${status}`);
          equal(elsewhere.received.length, 0);
        });
      } finally {
        await elsewhere.close();
      }
    },
  },
  {
    name: 'cannot reach a server that is not there, to which nothing has been sent',
    run: async (makeTransport) => {
      await on(rawLoopback(ignore), makeTransport, async ({ send }, server) => {
        await server.close();
        await fails(send().response, 'unreachable', true);
      });
    },
  },
  {
    name: 'takes a connection that is lost before the end of the response for an unreachable server',
    run: async (makeTransport) => {
      for (const lose of [
        rawLoopback((socket) => socket.resetAndDestroy()),
        rawLoopback((socket) => socket.end()),
        rawLoopback((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf')),
      ])
        await on(lose, makeTransport, async ({ send }) => await fails(send().response, 'unreachable'));
    },
  },
  {
    name: 'takes what is not HTTP for no response, not for an outage',
    run: async (makeTransport) => {
      for (const rubbish of [
        'SSH-2.0-OpenSSH_9.2\r\n',
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n',
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
        'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n',
      ]) {
        const server = rawLoopback((socket) => socket.end(rubbish));
        await on(server, makeTransport, async ({ send }) => await fails(send().response, 'invalid_response'));
      }
    },
  },
  {
    name: 'frees the connection of a request that is given up, and can send the next one',
    run: async (makeTransport) => {
      let hangs = true;
      await on(
        loopback((response) => (hangs ? undefined : response.end('{}'))),
        makeTransport,
        async ({ send }, server) => {
          const exchange = send();
          exchange.response.catch(ignore);
          await until(() => server.received.length === 1);
          ok(exchange.isSent?.() ?? true, 'it has been sent');
          exchange.abort(new Error('the time is up'));
          await until(() => server.cutOff === 1);
          hangs = false;
          equal((await send().response).status, 200);
        },
      );
    },
  },
];

/**
 * What every `Transport` must do, over real sockets on 127.0.0.1.
 *
 * @example
 * ```ts
 * for (const { name, run } of transportCases((verifyUrl) => myTransport(verifyUrl))) test(name, run);
 * ```
 */
export function transportCases(makeTransport: MakeTransport): readonly ContractCase[] {
  checkMake('makeTransport', makeTransport);
  return CHECKS.map(({ name, run }) => ({ name, run: async () => await run(makeTransport) }));
}
