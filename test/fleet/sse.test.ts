import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, onTestFinished, test } from 'vitest';

import { InvalidOptionsError, KeyVerifier, type FollowContext, type KeyVerifierOptions } from 'keyverify';
import { sseRevocations } from 'keyverify/sse';
import { startKeyServer, testClock, type KeyServer } from 'keyverify/testing';

import { serve } from '../helpers/http.js';
import { ACME, GOOD, TOKEN, brief, until } from '../helpers/rig.js';

const REVOKED = JSON.stringify({ v: 1, type: 'revoked', select: { keyId: 'k-1' } });
const HEARTBEAT = '{"v":1,"type":"heartbeat"}';

function build(server: KeyServer, options: KeyVerifierOptions = {}): KeyVerifier {
  const revocations = sseRevocations({ heartbeatMs: 2_000 });
  const base = { verifyUrl: server.verifyUrl, serviceToken: TOKEN, logger: { warn: () => undefined } };
  const verifier = new KeyVerifier({ ...base, revocations, ...options });
  onTestFinished(async () => await verifier.close());
  return verifier;
}

async function rig(): Promise<KeyServer> {
  const keys = { [GOOD]: ACME };
  const server = await startKeyServer({ keys, serviceTokens: [TOKEN], heartbeatMs: 20 });
  onTestFinished(async () => await server.close());
  return server;
}

async function follower(server: KeyServer, options?: KeyVerifierOptions): Promise<KeyVerifier> {
  const verifier = build(server, options);
  await verifier.warmUp();
  expect(brief(await verifier.verify(GOOD))).toBe('valid server');
  return verifier;
}

/** How a source is called that the test follows by itself, and whose messages don't matter. */
function contextOf(): FollowContext {
  const { signal } = new AbortController();
  const sink = { deliver: () => undefined, gap: () => undefined, caughtUp: () => undefined };
  const token = async (): Promise<string> => await Promise.resolve(TOKEN);
  return { sink, from: undefined, retainMs: 1, signal, verifyUrl: '', token, clock: testClock() };
}

/** Messages that have come since. */
const came = async (verifier: KeyVerifier, messages: number): Promise<void> =>
  await until(() => verifier.stats().revocations.messages >= messages);

test('the stream beside verifyUrl has a plain name, since none of its address is known', () => {
  expect(sseRevocations().name).toBe('sse');
  expect(sseRevocations({ url: 'https://keys.test/revocations' }).name).toBe('sse:https://keys.test/revocations');
});

describe('revocations as server-sent events', () => {
  test('reach every process', async () => {
    const server = await rig();
    const verifiers = [await follower(server), await follower(server)];
    server.revoke(GOOD);
    for (const verifier of verifiers) {
      await came(verifier, 1);
      expect(brief(await verifier.verify(GOOD))).toBe('rejected server revoked');
    }
    server.issue(GOOD, ACME);
    for (const verifier of verifiers) {
      await came(verifier, 2);
      expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    }
  });

  test('are not lost by cut connections: what came meanwhile is delivered, without a gap', async () => {
    const server = await rig();
    const verifier = await follower(server);
    for (let i = 0; i < 5; i++) {
      server.dropConnections();
      server.publish({ type: 'revoked', select: { keyId: `k-${i}` } });
      await came(verifier, i + 1);
    }
    expect(verifier.stats().revocations).toMatchObject({ messages: 5, gaps: 0 });
  });

  test.each<[string, (server: KeyServer) => void]>([
    ['another epoch', (server) => server.restartStream()],
    [
      'more messages than are kept',
      (server) => {
        server.dropConnections();
        for (let i = 0; i < 1_100; i++) server.publish({ type: 'revoked', select: { keyId: `lost-${i}` } });
      },
    ],
  ])('tell of a gap: %s', async (_, lose) => {
    const server = await rig();
    const verifier = await follower(server);
    server.publish({ type: 'changed', select: { keyId: 'other' } });
    await came(verifier, 1);
    lose(server);
    await until(() => verifier.stats().revocations.gaps > 0);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
  });

  test('are known to be missing while the server is down, and come back with it', async () => {
    const server = await rig();
    const verifier = await follower(server, { revocations: sseRevocations({ heartbeatMs: 100 }) });
    await server.stop();
    await until(() => verifier.stats().revocations.gaps > 0);
    expect(verifier.stats().revocations.down).toBe(true);
    await server.start();
    await until(() => !verifier.stats().revocations.down);
    expect(verifier.stats().revocations.gaps).toBe(1);
  });

  test('take the token from a function, again if it is refused, or one of their own', async () => {
    const server = await rig();
    const tokens = ['old', TOKEN];
    // eslint-disable-next-line @typescript-eslint/require-await
    const verifier = build(server, { serviceToken: async () => tokens.shift() ?? TOKEN });
    await verifier.warmUp();
    server.revoke(GOOD);
    await came(verifier, 1);
    for (const token of ['own', async () => await Promise.resolve('own')]) {
      server.setServiceTokens(['own', TOKEN]);
      const other = build(server, { revocations: sseRevocations({ token }) });
      await other.warmUp();
      server.setServiceTokens([TOKEN]);
      await came(other, 1);
    }
  });

  test('of a stream that is refused are missing', async () => {
    const server = await rig();
    const verifier = build(server, { revocations: sseRevocations({ token: 'wrong', heartbeatMs: 100 }) });
    void verifier.warmUp();
    await until(() => verifier.stats().revocations.down);
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
  });

  test('with a token that is none are missing, and no line quotes it', async () => {
    const server = await rig();
    const lines: string[] = [];
    const verifier = build(server, {
      revocations: sseRevocations({ token: () => 'token-0123456789\n', heartbeatMs: 100 }),
      logger: { warn: (line) => lines.push(line) },
    });
    void verifier.warmUp();
    await until(() => lines.length > 0);
    expect(lines).toEqual([expect.stringMatching(/do not arrive.*\(token: expected a string of printable ASCII\)/)]);
    expect(lines[0]).not.toContain('0123456789');
  });
});

describe('a token of a stream is in no line of the log', () => {
  const OWN = `own-token-${'0123456789'.repeat(8)}`;
  const type = 'text/event-stream';

  test.each<[string, (response: ServerResponse, token: string) => unknown]>([
    ['in its content-type', (response, token) => response.writeHead(200, { 'content-type': `text/x-${token}` }).end()],
    [
      'in its content-type, of which a part is shown',
      (response, token) => response.writeHead(200, { 'content-type': `text/${'x'.repeat(20)} ${token}` }).end(),
    ],
    [
      'as the id of an event',
      (response, token) =>
        response.writeHead(200, { 'content-type': type }).write(`id: ${token.slice(0, 64)}\ndata: ${REVOKED}\n\n`),
    ],
    [
      'as a field of an event',
      (response, token) =>
        response
          .writeHead(200, { 'content-type': type })
          .write(`id: 1-1\ndata: {"v":1,"type":"revoked","select":{"${token.slice(0, 64)}":"x"}}\n\n`),
    ],
  ])('if the server quotes it %s', async (_, answer) => {
    const { origin } = await serve((response, { url, headers }) => {
      if (url === '/revocations') answer(response, String(headers['x-service-token']));
      else response.end('{}');
    });
    // Of 64 characters, an id or a name is shown.
    for (const [serviceToken, token] of [
      [TOKEN, OWN.slice(0, 64)],
      [TOKEN, () => OWN.slice(0, 60)],
      [OWN.slice(0, 64), undefined],
    ] as const) {
      const lines: string[] = [];
      const verifier = new KeyVerifier({
        verifyUrl: `${origin}/verify`,
        serviceToken,
        revocations: sseRevocations({ token, heartbeatMs: 100 }),
        logger: { warn: (line) => lines.push(line) },
      });
      onTestFinished(async () => await verifier.close());
      void verifier.warmUp();
      await until(() => lines.length > 0);
      expect(lines.join('\n')).not.toContain(OWN.slice(0, 24));
    }
  });

  test('if fetch quotes it, or the one before, or the query of the URL', async () => {
    const tokens = [`one-${OWN}`, `two-${OWN}`];
    const quoted: string[] = [];
    const source = sseRevocations({
      url: 'https://admin.test/events?token=of-the-url&also=a-secret',
      token: () => tokens.shift() ?? '',
      fetch: async (url, { headers }) => {
        quoted.push(url, JSON.stringify(headers), 'a-secret');
        return await Promise.reject(new TypeError('fetch failed', { cause: new Error(quoted.join(' ')) }));
      },
    });
    for (let call = 1; call <= 2; call++) {
      const error: unknown = await source.follow(contextOf()).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(Error);
      expect(String(error)).toMatch(/redacted.*redacted.*redacted/s);
      expect(String(error)).not.toMatch(/0123456789|of-the-url|a-secret/);
    }
    expect(quoted.join(' ')).toMatch(/one-own-token.*two-own-token/);
  });

  test.each<[string, (verifyUrl: string) => string | undefined]>([
    ['under verifyUrl', (verifyUrl) => `${verifyUrl}/nope`],
    ['verifyUrl itself', (verifyUrl) => verifyUrl],
    ['with a value that is in its address, too', (verifyUrl) => `${verifyUrl}?x=1&host=verify&token=of-the-url`],
    ['beside verifyUrl', () => undefined],
  ])('while its address is shown, if it is wrong: %s', async (_, urlOf) => {
    const { origin } = await serve((response) => response.writeHead(404).end());
    const lines: string[] = [];
    const verifyUrl = `${origin}/verify`;
    const url = urlOf(verifyUrl);
    const verifier = new KeyVerifier({
      verifyUrl,
      serviceToken: TOKEN,
      revocations: sseRevocations({ url, heartbeatMs: 100 }),
      logger: { warn: (line) => lines.push(line) },
    });
    onTestFinished(async () => await verifier.close());
    void verifier.warmUp();
    await until(() => lines.length > 0);
    expect(lines[0]).toContain(`(${url?.replace(/[?].*/, '') ?? `${origin}/revocations`} answered 404)`);
  });

  test('nor can the query of verifyUrl, if a source of your own quotes it', async () => {
    const lines: string[] = [];
    const source = sseRevocations({ heartbeatMs: 100 });
    const verifier = new KeyVerifier({
      verifyUrl: 'https://keys.test/verify?secret=of-verify-url',
      serviceToken: TOKEN,
      revocations: {
        ...source,
        name: 'own',
        follow: async ({ verifyUrl }) => await Promise.reject(new Error(`${verifyUrl} is down, of-verify-url`)),
      },
      logger: { warn: (line) => lines.push(line) },
    });
    onTestFinished(async () => await verifier.close());
    void verifier.warmUp();
    await until(() => lines.length > 0);
    expect(lines[0]).toContain('(https://keys.test/verify?[redacted] is down, [redacted])');
  });

  test('and a URL has no password', () => {
    expect(() => sseRevocations({ url: 'https://name:password@admin.test/events' })).toThrow(
      /^(?!.*password@).*url: expected a URL without credentials/s,
    );
  });
});

describe('a stream that misbehaves', () => {
  test('half-open: nothing comes any more, and it is opened again', async () => {
    const { origin, heard } = await serve((response, { url }) => {
      if (url !== '/revocations') return response.end('{}');
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      return response.write(`id: 1-0\ndata: ${HEARTBEAT}\n\n`);
    });
    const options = {
      verifyUrl: `${origin}/verify`,
      serviceToken: TOKEN,
      revocations: sseRevocations({ heartbeatMs: 100 }),
    };
    const verifier = new KeyVerifier(options);
    onTestFinished(async () => await verifier.close());
    await verifier.warmUp();
    await until(() => heard.length >= 3);
    expect(heard[0]?.headers['last-event-id']).toBeUndefined();
    expect(heard[1]?.headers['last-event-id']).toBe('1-0');
  });

  test('cut anywhere, with duplicates: every revocation counts once', async () => {
    const text = [
      `id: 1-1\ndata: ${REVOKED}\n\n`,
      `id: 1-1\ndata: ${REVOKED}\n\n`,
      `id: 1-2\ndata: ${HEARTBEAT}\n\n`,
    ].join('');
    const { origin } = await serve(async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
      for (const byte of Buffer.from(text)) {
        response.write(Buffer.from([byte]));
        await new Promise(setImmediate);
      }
    });
    let forgotten = 0;
    const verifier = new KeyVerifier({
      verifyUrl: `${origin}/verify`,
      serviceToken: TOKEN,
      revocations: sseRevocations({ heartbeatMs: 5_000 }),
      observers: [{ onRevocation: ({ messages }) => (forgotten += messages) }],
    });
    onTestFinished(async () => await verifier.close());
    await verifier.warmUp();
    await until(() => forgotten === 2);
    expect(verifier.stats().revocations.gaps).toBe(0);
  });

  test.each<[string, number, string, string]>([
    ['an error', 503, 'text/event-stream', ''],
    ['no stream', 200, 'application/json', '{}'],
    ['a redirect', 307, 'text/plain', ''],
    ['an endless event', 200, 'text/event-stream', `data: ${'x'.repeat(100_000)}`],
  ])('%s is no stream', async (_, status, type, body) => {
    const { origin, heard } = await serve((response) =>
      response.writeHead(status, { 'content-type': type, location: '/elsewhere' }).end(body),
    );
    const options = {
      verifyUrl: `${origin}/verify`,
      serviceToken: TOKEN,
      revocations: sseRevocations({ heartbeatMs: 100 }),
    };
    const verifier = new KeyVerifier({ ...options, timeoutMs: 100 });
    onTestFinished(async () => await verifier.close());
    await verifier.warmUp();
    await until(() => verifier.stats().revocations.down);
    expect(verifier.stats().revocations.messages).toBe(0);
    expect(heard.every(({ path }) => path === '/revocations')).toBe(true);
    await sleep(1);
  });
});

test.each<[string, Response, string]>([
  ['an error', new Response('', { status: 503 }), '503'],
  ['a page', new Response('', { headers: { 'content-type': 'text/html' } }), '200 with content-type text/html, not'],
  ['nothing', new Response(null), '200 with content-type none, not text/event-stream'],
  ['no body', new Response(null, { headers: { 'content-type': 'text/event-stream' } }), '200 without a body'],
])('what comes in place of a stream is named, with the URL that sent it: %s', async (_, response, said) => {
  const source = sseRevocations({
    url: 'https://admin.test/events?token=secret',
    fetch: async () => await Promise.resolve(response),
  });
  await expect(source.follow(contextOf())).rejects.toThrow(`https://admin.test/events answered ${said}`);
});

test('a stream ends with its signal, also where fetch forgets it once the headers are there', async () => {
  const server = await rig();
  const end = new AbortController();
  const source = sseRevocations({ fetch: async (url, init) => await fetch(url, { ...init, signal: null }) });
  await source.follow({
    sink: { deliver: () => undefined, gap: () => undefined, caughtUp: () => end.abort(new Error('the end')) },
    from: undefined,
    retainMs: 1,
    signal: end.signal,
    verifyUrl: server.verifyUrl,
    token: async () => await Promise.resolve(TOKEN),
    clock: testClock(),
  });
  expect(end.signal.aborted).toBe(true);
});

describe('a stream whose positions are wrong', () => {
  const event = (id: string, json: string): string => `id: ${id}\ndata: ${json}\n\n`;

  /** A verifier, and a stream to which the test writes. */
  async function written(): Promise<{ server: KeyServer; verifier: KeyVerifier; write: (text: string) => void }> {
    const server = await rig();
    let write: (text: string) => void = () => undefined;
    const { origin } = await serve((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(event('2000-0', HEARTBEAT));
      write = (text) => void response.write(text);
    });
    const url = `${origin}/revocations?token=of-the-url`;
    const verifier = await follower(server, { revocations: sseRevocations({ url, heartbeatMs: 60_000 }) });
    return { server, verifier, write: (text) => write(text) };
  }

  test.each<[string, string]>([
    ['a lower epoch, with a reset', event('1000-1', '{"v":1,"type":"reset"}')],
    ['a lower epoch, without one', event('1000-1', HEARTBEAT)],
    ['a higher epoch', event('3000-1', HEARTBEAT)],
    ['a reset in the same epoch', event('2000-1', '{"v":1,"type":"reset"}')],
    ['an id from before', event('2000-1', HEARTBEAT)],
    ['an id of another form', event('rubbish', HEARTBEAT)],
    ['an id of too many digits', event('2000-123456789012345678901', HEARTBEAT)],
  ])('has a gap at %s, and what is revoked later is not taken for old', async (_, json) => {
    const { server, verifier, write } = await written();
    write(event('2000-9999999999999999999', REVOKED));
    await came(verifier, 1);
    expect(brief(await verifier.verify(GOOD))).toBe('valid server');
    write(json);
    await until(() => verifier.stats().revocations.gaps === 1);
    expect(brief(await verifier.verify(GOOD))).toBe('valid cache');
    server.revoke(GOOD);
    write(event('1000-5', REVOKED));
    await came(verifier, 2);
    expect(brief(await verifier.verify(GOOD))).toBe('rejected server revoked');
  });

  test('tells of many gaps as of one, and another one a second later', async () => {
    const { verifier, write } = await written();
    write('data: rubbish\n\n'.repeat(5_000) + event('2000-1', REVOKED));
    await came(verifier, 1);
    expect(verifier.stats().revocations.gaps).toBeLessThan(100);
    await until(() => verifier.stats().revocations.gaps > 1);
  });

  test('is named without the query of its URL, which may be a secret', () => {
    const url = 'https://keys.example.com/revocations?token=secret';
    expect(sseRevocations({ url }).name).toBe('sse:https://keys.example.com/revocations');
    expect(sseRevocations().name).toBe('sse');
  });
});

test('another URL is asked, and the service token not sent in the clear', async () => {
  const server = await rig();
  const url = new URL('/internal/revocations', server.url);
  const verifier = await follower(server, {
    revocations: sseRevocations({ url, fetch: async (...all) => await fetch(...all) }),
  });
  server.revoke(GOOD);
  await came(verifier, 1);
  for (const wrong of ['http://keys.example.com/revocations', 'ftp://localhost/', 'rubbish'])
    expect(() => sseRevocations({ url: wrong })).toThrow(InvalidOptionsError);
  for (const right of ['https://keys.example.com/r', 'http://localhost/r', 'http://[::1]/r'])
    sseRevocations({ url: right });
  for (const heartbeatMs of [0, -1, NaN]) expect(() => sseRevocations({ heartbeatMs })).toThrow(InvalidOptionsError);
});
