import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttp } from 'node:http';
import { constants, createSecureServer, type ServerHttp2Stream } from 'node:http2';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
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

const authority = new Authority();
const leaf = authority.issue('IP:127.0.0.1');

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
  'UND_ERR_SOCKS5_REPLY_1',
  'UND_ERR_SOCKS5_REPLY_2',
];
const RUBBISH = [
  'HPE_INVALID_CONSTANT',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_HEADERS_OVERFLOW',
  'Z_DATA_ERROR',
];
const TLS = ['ERR_SSL_UNEXPECTED_MESSAGE', 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC', 'EPROTO', 'CERT_HAS_EXPIRED'];
const CLOSED = [...OURS, ...UNDICI, ...RUBBISH, ...TLS, 'SOMETHING_NEW'];
const SOCKS = ['UND_ERR_SOCKS5_REPLY_3', 'UND_ERR_SOCKS5_REPLY_4', 'UND_ERR_SOCKS5_REPLY_5', 'UND_ERR_SOCKS5_REPLY_6'];
const OPEN = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT', ...SOCKS];

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

  test.for([
    { code: 'EAGAIN', syscall: 'connect', outcome: OPENED },
    { code: 'ENOENT', syscall: 'open', outcome: DENIED },
  ])('$code of $syscall', async ({ code, syscall, outcome }, context) => {
    const error = Object.assign(withCode(code), { syscall });
    expect(await ask(context, NOWHERE, dispatching(error))).toEqual(outcome);
  });

  test.for(VIA)('a Unix socket that is gone does, by $via', async ({ through }, context) => {
    const agent = new Agent({ connect: { socketPath: `${tmpdir()}/${randomUUID()}.sock` } });
    expect(await ask(context, NOWHERE, through(agent))).toEqual(OPENED);
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

const STATUSES_AS_ERRORS = [
  {
    kind: 'RetryAgent',
    make: () => new RetryAgent(new Agent(), { methods: ['POST'], maxRetries: 0 }) as unknown as Agent,
  },
  { kind: 'responseError', make: () => new Agent().compose(interceptors.responseError()) as unknown as Agent },
];

describe.concurrent("a caller's dispatcher that turns statuses into errors", () => {
  const table = STATUSES_AS_ERRORS.flatMap((kind) =>
    VIA.flatMap((via) => [401, 403, 404, 429].map((status) => ({ ...kind, ...via, status }))),
  );
  test.for(table)('$kind by $via, status $status', async ({ make, through, status }, context) => {
    const server = await startServer(context);
    server.fault = () => ({ status });
    expect(await ask(context, server.url, through(make()))).toEqual(DENIED);
  });
});

describe.concurrent('a response that a dispatcher makes an error of, and that all get', () => {
  const table = STATUSES_AS_ERRORS.flatMap((kind) => VIA.map((via) => ({ ...kind, ...via })));
  test.for(table)('$kind by $via, status 503', async ({ make, through }, context) => {
    const server = await startServer(context);
    server.fault = () => ({ status: 503 });
    expect(await ask(context, server.url, through(make()))).toEqual(OPENED);
  });
});

describe.concurrent('a connection that is never made, through a dispatcher without statistics', () => {
  const never = () => new Agent({ connect: () => undefined });
  test.for([
    { kind: 'RetryAgent', make: (): Dispatcher => new RetryAgent(never()) },
    { kind: 'one that looks names up', make: (): Dispatcher => never().compose(interceptors.dns()) },
  ])('$kind', async ({ make }, context) => {
    // An address would not be looked up.
    const url = NOWHERE.replace('127.0.0.1', 'localhost');
    expect(await ask(context, url, { dispatcher: make() }, 1_500)).toEqual(OPENED);
  });

  test('ProxyAgent, the proxy being silent', async (context) => {
    const port = await raw(context, () => undefined);
    const dispatcher = new ProxyAgent(`http://127.0.0.1:${port}`) satisfies Dispatcher;
    expect(await ask(context, NOWHERE, { dispatcher }, 1_500)).toEqual(OPENED);
  });
});

describe.concurrent('a server over HTTP/2', () => {
  const STREAM = (code: number) => (stream: ServerHttp2Stream) => stream.close(code);
  const SESSION = (code: number) => (stream: ServerHttp2Stream) => stream.session?.goaway(code);
  const { NGHTTP2_NO_ERROR, NGHTTP2_INTERNAL_ERROR, NGHTTP2_REFUSED_STREAM, NGHTTP2_CANCEL } = constants;
  const { NGHTTP2_PROTOCOL_ERROR, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_HTTP_1_1_REQUIRED } = constants;
  const ENDS = [
    { end: 'a stream by INTERNAL_ERROR', act: STREAM(NGHTTP2_INTERNAL_ERROR), outcome: OPENED },
    { end: 'a stream by REFUSED_STREAM', act: STREAM(NGHTTP2_REFUSED_STREAM), outcome: OPENED },
    { end: 'a stream by CANCEL', act: STREAM(NGHTTP2_CANCEL), outcome: OPENED },
    { end: 'a stream by PROTOCOL_ERROR', act: STREAM(NGHTTP2_PROTOCOL_ERROR), outcome: DENIED },
    { end: 'a stream by ENHANCE_YOUR_CALM', act: STREAM(NGHTTP2_ENHANCE_YOUR_CALM), outcome: DENIED },
    { end: 'a stream by HTTP_1_1_REQUIRED', act: STREAM(NGHTTP2_HTTP_1_1_REQUIRED), outcome: DENIED },
    { end: 'a session by NO_ERROR', act: SESSION(NGHTTP2_NO_ERROR), outcome: OPENED },
    { end: 'a session by INTERNAL_ERROR', act: SESSION(NGHTTP2_INTERNAL_ERROR), outcome: OPENED },
    { end: 'a session by ENHANCE_YOUR_CALM', act: SESSION(NGHTTP2_ENHANCE_YOUR_CALM), outcome: DENIED },
  ];
  test.for(ENDS.flatMap((end) => VIA.map((via) => ({ ...end, ...via }))))(
    'that ends $end, by $via',
    async ({ act, through, outcome }, context) => {
      const server = createSecureServer(leaf);
      server.on('stream', (stream) => {
        stream.on('error', () => undefined);
        act(stream);
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      context.onTestFinished(() => void server.close());
      const { port } = server.address() as AddressInfo;
      const agent = new Agent({ allowH2: true, connect: { ca: authority.cert } });
      context.onTestFinished(async () => await agent.destroy());
      expect(await ask(context, `https://127.0.0.1:${port}/`, through(agent))).toEqual(outcome);
    },
  );
});

describe.concurrent('a fetch with a timeout of its own', () => {
  const impatient: Fetch = async (url, { signal, ...init }) =>
    await fetch(url, { ...init, signal: AbortSignal.any([AbortSignal.timeout(200), ...(signal ? [signal] : [])]) });

  test('hides no outage', async (context) => {
    const { server, verifier } = await lab(context, { fetch: impatient, failOpen: true });
    server.fault = () => 'hang';
    const results = await during(1_500, 40, async () => await verifier.verify(madeUp()));
    expect(Object.keys(letIn(results))).not.toEqual([]);
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
      { valid: false, kind: 'invalid_response' },
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
