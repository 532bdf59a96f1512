import { once } from 'node:events';
import { createServer as createHttp } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { Readable } from 'node:stream';

import { Agent, ProxyAgent, RetryAgent, fetch as undiciFetch, interceptors } from 'undici';
import { describe, expect, test, type TestContext } from 'vitest';

import type { Dispatcher, Fetch, KeyVerifierOptions } from 'keyverify';

import { Authority } from '../helpers/authority.js';
import { build, during, lab, letIn, madeUp, newcomer, settleIn, startServer } from './lab.js';

type Options = Pick<KeyVerifierOptions, 'fetch' | 'dispatcher'>;
type Test = TestContext;

// No port that fetch refuses by itself, as it does 9.
const NOWHERE = 'http://127.0.0.1:8/';

/** Asks for long enough that whatever opens would have opened. Everything fails, a control question as well. */
async function ask(test: Test, url: string, options: Options, ms = 700) {
  const verifier = build(test, url, { ...options, failOpen: true });
  const results = await during(ms, 40, async () => await verifier.verify(madeUp()));
  return { opened: Object.keys(letIn(results)).length > 0, breaker: verifier.stats().breaker };
}

const DENIED = { opened: false, breaker: 'closed' };
const OPENED = { opened: true, breaker: 'open' };

/** The same dispatcher, handed over as such and behind undici's own `fetch`. */
const VIA: readonly { readonly via: string; readonly through: (dispatcher: Agent) => Options }[] = [
  { via: 'dispatcher', through: (dispatcher) => ({ dispatcher: dispatcher satisfies Dispatcher }) },
  {
    via: 'fetch',
    through: (dispatcher) => {
      const fetch = async (url: string, init: object) => await undiciFetch(url, { ...init, dispatcher });
      return { fetch: fetch as unknown as Fetch };
    },
  },
];
const AUTOMATIC = [
  { via: 'the pool', options: {} },
  { via: 'fetch', options: { fetch: globalThis.fetch } },
];

const failing = (error: unknown): Options => ({ fetch: async () => await Promise.reject<Response>(error) });
const withCode = (code: string, message = code): Error => Object.assign(new Error(message), { code });
const dispatching = (error: Error): Options => ({
  dispatcher: {
    dispatch(_options, handler) {
      const controller = { abort: () => undefined };
      handler.onRequestStart(controller, undefined);
      queueMicrotask(() => handler.onResponseError(controller, error));
      return true;
    },
  },
});

const refuse = (): never => {
  throw new Error('no');
};
const unreadable = new Proxy(withCode('ECONNRESET'), { get: refuse, has: refuse, getPrototypeOf: refuse });

const OURS = ['EADDRNOTAVAIL', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EACCES', 'EPERM', 'ERR_ACCESS_DENIED'];
const UNDICI = [
  'UND_ERR_ABORTED',
  'UND_ERR_INVALID_ARG',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_NOT_SUPPORTED',
];
const RUBBISH = [
  'HPE_INVALID_CONSTANT',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_HEADERS_OVERFLOW',
  'Z_DATA_ERROR',
];
const TLS = ['ERR_SSL_UNEXPECTED_MESSAGE', 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC', 'EPROTO', 'CERT_HAS_EXPIRED'];
const CLOSED = [...OURS, ...UNDICI, ...RUBBISH, ...TLS, 'SOMETHING_NEW'];
const OPEN = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'];

describe.concurrent('only what is on the list of outages opens', () => {
  test.for(CLOSED)('%s does not', async (code, context) => {
    expect(await ask(context, NOWHERE, dispatching(withCode(code)))).toEqual(DENIED);
    expect(await ask(context, NOWHERE, failing(new TypeError('fetch failed', { cause: withCode(code) })))).toEqual(
      DENIED,
    );
  });

  test.for(OPEN)('%s does', async (code, context) => {
    expect(await ask(context, NOWHERE, dispatching(withCode(code)))).toMatchObject({ opened: true });
    const wrapped = new TypeError('fetch failed', { cause: withCode(code) });
    expect(await ask(context, NOWHERE, failing(wrapped))).toMatchObject({ opened: true });
  });

  test('one address out of ports is our own load, whatever the others say', async (context) => {
    const all = new AggregateError([withCode('ECONNREFUSED'), withCode('EADDRNOTAVAIL')], '');
    expect(await ask(context, NOWHERE, failing(new TypeError('fetch failed', { cause: all })))).toEqual(DENIED);
  });

  const MISTAKES: readonly (readonly [string, Options])[] = [
    ['a ReferenceError', failing(new ReferenceError('x is not defined'))],
    ['a TypeError', failing(new TypeError("Cannot read properties of undefined (reading 'y')"))],
    [
      'an error thrown at once',
      {
        fetch: () => {
          throw new ReferenceError('x is not defined');
        },
      },
    ],
    ['no error at all', failing(undefined)],
    ['a text', failing('ECONNREFUSED')],
    ['an error whose fields throw', failing(unreadable)],
    ['an error whose fields throw, by a dispatcher', dispatching(unreadable)],
    ['no response', { fetch: async () => await Promise.resolve(undefined as unknown as Response) }],
    [
      'a dispatcher that throws',
      {
        dispatcher: {
          dispatch: () => {
            throw new ReferenceError('x');
          },
        },
      },
    ],
  ];
  test.for(MISTAKES)("%s of the caller's own function does not", async ([, options], context) => {
    expect(await ask(context, NOWHERE, options)).toEqual(DENIED);
  });
});

describe.concurrent('bodies as those of node-fetch, without cancel() and getReader()', () => {
  const nodeFetch: Fetch = async (url, init) => {
    const { status, headers, ok, type, redirected, body } = await globalThis.fetch(url, init);
    const bytes = Buffer.from(await new Response(body).arrayBuffer());
    const readable = Object.assign(Readable.from([bytes]), {});
    return { status, headers, ok, type, redirected, body: readable } as unknown as Response;
  };

  test.for([200, 401, 404, 429])('status %i', async (status, context) => {
    const server = await startServer(context);
    if (status !== 200) server.fault = () => ({ status });
    expect(await ask(context, server.url, { fetch: nodeFetch })).toEqual(DENIED);
  });
});

describe.concurrent("a caller's dispatcher that turns statuses into errors", () => {
  const KINDS = [
    { kind: 'RetryAgent', make: () => new RetryAgent(new Agent(), { maxRetries: 0 }) as unknown as Agent },
    { kind: 'responseError', make: () => new Agent().compose(interceptors.responseError()) as unknown as Agent },
  ];
  const table = KINDS.flatMap((kind) =>
    VIA.flatMap((via) => [401, 403, 404, 429].map((status) => ({ ...kind, ...via, status }))),
  );
  test.for(table)('$kind by $via, status $status', async ({ make, through, status }, context) => {
    const server = await startServer(context);
    server.fault = () => ({ status });
    expect(await ask(context, server.url, through(make()))).toEqual(DENIED);
  });
});

describe.concurrent('a proxy that refuses CONNECT', () => {
  const table = VIA.flatMap((via) => [
    ...[403, 407, 429, 500].map((status) => ({ ...via, status, outcome: DENIED })),
    // It can't reach the key server.
    ...[502, 503, 504].map((status) => ({ ...via, status, outcome: OPENED })),
  ]);
  test.for(table)('with $status, by $via', async ({ through, status, outcome }, context) => {
    const proxy = createHttp();
    proxy.on('connect', (_request, socket) => socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`));
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    context.onTestFinished(() => void proxy.close());
    const { port } = proxy.address() as AddressInfo;
    const agent = new ProxyAgent({ uri: `http://127.0.0.1:${port}`, proxyTunnel: true });
    expect(await ask(context, NOWHERE, through(agent as unknown as Agent))).toEqual(outcome);
  });
});

/** A server below HTTP. */
async function raw({ onTestFinished }: Test, answer: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    let request = '';
    socket.on('data', (chunk: Buffer) => {
      request += chunk.toString();
      // Not before the whole question is there: what comes after the end of an answer would reset the connection.
      if (!request.startsWith('POST') || request.endsWith('}')) answer(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

describe.concurrent.each(AUTOMATIC)('what comes over the wire, by $via', ({ options }) => {
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';
  test.for([
    ['both lengths', `${head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n4\r\ntrue\r\n0\r\n\r\n`],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['two different lengths', `${head}content-length: 4\r\ncontent-length: 5\r\n\r\ntrue`],
    ['an unasked upgrade', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n'],
  ] as const)('%s does not open', async ([, answer], context) => {
    const port = await raw(context, (socket) => socket.end(answer));
    expect(await ask(context, `http://127.0.0.1:${port}/`, options)).toEqual(DENIED);
  });

  test('an unexpected TLS message does not open', async (context) => {
    // A ServerHelloDone where a ServerHello is due.
    const port = await raw(context, (socket) => socket.end(Buffer.from('16030300040e000000', 'hex')));
    expect(await ask(context, `https://127.0.0.1:${port}/`, options)).toEqual(DENIED);
  });
});

const authority = new Authority();
const leaf = authority.issue('IP:127.0.0.1');
const CLIENT_CERT = { ...leaf, ca: authority.cert, requestCert: true, rejectUnauthorized: true };
const trusting = (): Agent => new Agent({ connect: { ca: authority.cert } });

test.concurrent.for(VIA)(
  'a client certificate that is demanded after the first answer does not open; by $via',
  async (row, context) => {
    const before = await startServer(context, leaf);
    const options = row.through(trusting());
    const verifier = build(context, before.url, { ...options, failOpen: true });
    await settleIn(verifier);
    await before.stop();
    await startServer(context, CLIENT_CERT, before.port);
    const results = await during(700, 40, async () => await verifier.verify(madeUp()));
    expect({ opened: letIn(results), breaker: verifier.stats().breaker }).toEqual({ opened: {}, breaker: 'closed' });
  },
);

describe.concurrent('a key that looks like a code changes nothing', () => {
  const KEYS = [
    'SOCKET',
    'ECONNRESET',
    'ECONNREFUSED',
    'UND_ERR',
    'UND_ERR_SOCKET',
    'CERT',
    'CERTIFICATE',
    'ERR_',
    'E',
    'other side closed',
  ];

  test.for(KEYS)('%s', async (key, context) => {
    const demanding = await startServer(context, CLIENT_CERT);
    const unknown = await startServer(context, new Authority().issue('IP:127.0.0.1'));
    const gone = await startServer(context);
    await gone.stop();
    const verdicts = async (presented: string) =>
      await Promise.all(
        [demanding, unknown, gone].map(async ({ url }) => {
          const verifier = build(context, url, { dispatcher: trusting() satisfies Dispatcher, failOpen: true });
          const { valid, ...result } = await verifier.verify(presented);
          return { valid, kind: 'failure' in result && result.failure.kind };
        }),
      );
    const expected = [
      { valid: false, kind: 'misconfigured' },
      { valid: false, kind: 'misconfigured' },
      { valid: true, kind: 'unreachable' },
    ];
    expect(await verdicts(newcomer())).toEqual(expected);
    expect(await verdicts(key)).toEqual(expected);
  });

  test('a secret of less than 8 characters is not cut out of a code', async (context) => {
    const { server, verifier } = await lab(context, {});
    await server.stop();
    const result = await verifier.verify('REFUSED');
    expect('failure' in result && result.failure.cause).toMatchObject({ code: 'ECONNREFUSED' });
  });
});
