import { createServer as createTlsServer } from 'node:tls';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

import { Agent, Pool } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';

import { KeyVerifier, type Dispatcher, type VerifyResult } from 'keyverify';
import { startKeyServer, type KeyServer, type KeyServerOptions } from 'keyverify/testing';

import { Authority } from '../helpers/authority.js';
import { ACME, GOOD, TOKEN, brief } from '../helpers/rig.js';

const authority = new Authority();
const unknown = new Authority();
const HOST = 'IP:127.0.0.1';
const good = authority.issue(HOST);
const us = authority.issue('DNS:service.test');

type Tls = NonNullable<KeyServerOptions['tls']>;

async function listen(tls: Tls): Promise<KeyServer> {
  const server = await startKeyServer({ keys: { [GOOD]: ACME }, serviceTokens: [TOKEN], tls });
  onTestFinished(async () => await server.close());
  return server;
}

/** Asks through an `Agent` or a `Pool` with these options; without options, through the transport of the library. */
async function ask(
  server: { readonly verifyUrl: string },
  connect: object | undefined,
  Through: typeof Agent | typeof Pool = Agent,
) {
  const warnings: string[] = [];
  const dispatcher =
    connect && (Through === Pool ? new Pool(new URL(server.verifyUrl).origin, { connect }) : new Agent({ connect }));
  const verifier = new KeyVerifier({
    verifyUrl: server.verifyUrl,
    serviceToken: TOKEN,
    failOpen: true,
    logger: { warn: (message) => warnings.push(message) },
    ...(dispatcher && { dispatcher: dispatcher satisfies Dispatcher }),
  });
  onTestFinished(async () => {
    await verifier.close();
    await dispatcher?.destroy();
  });
  return { result: await verifier.verify(GOOD), warnings, stats: verifier.stats() };
}

/** So many attempts, never open, and one line that says what to check. */
function expectDenied(
  {
    result,
    warnings,
    stats,
  }: { result: VerifyResult<unknown, boolean>; warnings: string[]; stats: { breaker: string } },
  expected: { kind: string; attempts: number; message: string },
  about: RegExp,
): void {
  expect(brief(result)).toBe(`closed ${expected.kind}`);
  const { failure } = result as Extract<typeof result, { source: 'fail-closed' }>;
  expect(failure).toMatchObject(expected);
  expect(failure.cause).toMatchObject({ message: expect.stringMatching(about) as string });
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(about);
  expect(warnings[0]).not.toContain('\n');
  expect(stats.breaker).toBe('closed');
}

function expectMisconfigured(answer: Awaited<ReturnType<typeof ask>>, about: RegExp): void {
  const message =
    'keyverify: the TLS handshake failed: check verifyUrl and the certificates (a dispatcher takes a private CA or client certificate)';
  expectDenied(answer, { kind: 'misconfigured', attempts: 1, message }, about);
}

/** With TLS 1.3 undici only says that the other side hung up, as one bad backend of several does: worth a second attempt. */
function expectClosedAtOnce(answer: Awaited<ReturnType<typeof ask>>): void {
  const message = 'keyverify: the key server closed a new TLS connection at once: it may want a client certificate';
  expectDenied(answer, { kind: 'invalid_response', attempts: 2, message }, /other side closed/);
}

describe.each([
  ['an Agent', Agent],
  ['a Pool', Pool],
] as const)('through %s', (_name, Through) => {
  test('keys are verified by a server with a known private CA', async () => {
    const server = await listen(good);
    expect(brief((await ask(server, { ca: authority.cert }, Through)).result)).toBe('valid server');
  });

  test('an unknown CA is misconfigured', async () => {
    const server = await listen(good);
    expectMisconfigured(await ask(server, { ca: unknown.cert }, Through), /certificate/);
    expect(server.counts.requests).toBe(0);
  });

  test('a certificate for another host is misconfigured', async () => {
    const server = await listen(authority.issue('DNS:another.test'));
    expectMisconfigured(await ask(server, { ca: authority.cert }, Through), /IP: 127\.0\.0\.1 is not in the cert/);
    expect(server.counts.requests).toBe(0);
  });

  test('an expired certificate is misconfigured', async () => {
    const server = await listen(authority.issue(HOST, -1));
    expectMisconfigured(await ask(server, { ca: authority.cert }, Through), /certificate has expired/);
    expect(server.counts.requests).toBe(0);
  });

  test('a client certificate is sent where the server asks for one', async () => {
    const server = await listen({ ...good, ca: authority.cert, requestCert: true });
    const answer = await ask(server, { ca: authority.cert, ...us }, Through);
    expect(brief(answer.result)).toBe('valid server');
  });

  test('a missing client certificate never opens', async () => {
    const server = await listen({ ...good, ca: authority.cert, requestCert: true });
    expectMisconfigured(await ask(server, { ca: authority.cert, maxVersion: 'TLSv1.2' }, Through), /handshake failure/);
    expectClosedAtOnce(await ask(server, { ca: authority.cert }, Through));
    expect(server.counts.requests).toBe(0);
  });

  test('a client certificate of an unknown CA never opens', async () => {
    const server = await listen({ ...good, ca: authority.cert, requestCert: true });
    const answer = await ask(server, { ca: authority.cert, ...unknown.issue('DNS:service.test') }, Through);
    expectClosedAtOnce(answer);
    expect(server.counts.requests).toBe(0);
  });
});

test('without a dispatcher a private CA is misconfigured', async () => {
  expectMisconfigured(await ask(await listen(good), undefined), /certificate/);
});

test('a server with an old version of TLS is misconfigured', async () => {
  const server = createTlsServer({ ...good, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }, (socket) => socket.end());
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const old = { verifyUrl: `https://127.0.0.1:${port}/` };
  expectMisconfigured(await ask(old, { ca: authority.cert, minVersion: 'TLSv1.3' }), /protocol version/);
});

test('plain HTTP where TLS is expected is misconfigured', async () => {
  const server = await startKeyServer({ serviceTokens: [TOKEN] });
  onTestFinished(async () => await server.close());
  const spoken = { verifyUrl: server.verifyUrl.replace('http:', 'https:') };
  expectMisconfigured(await ask(spoken, { ca: authority.cert }), /wrong version number|packet length too long/i);
});

test('a server that hangs up during every handshake is an outage: that happens while it restarts', async () => {
  const server = createServer((socket) => socket.once('data', () => socket.destroy()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const { result } = await ask({ verifyUrl: `https://127.0.0.1:${port}/` }, { ca: authority.cert });
  expect(brief(result)).toBe('open unreachable');
});

test('a server that answered before and then hangs up is an outage, not misconfigured', async () => {
  const server = await listen(good);
  const agent = new Agent({ connect: { ca: authority.cert } });
  const verifier = new KeyVerifier({
    verifyUrl: server.verifyUrl,
    serviceToken: TOKEN,
    failOpen: true,
    dispatcher: agent,
  });
  onTestFinished(async () => {
    await verifier.close();
    await agent.destroy();
  });
  server.injectFault({ kind: 'status', status: 503 });
  expect(brief(await verifier.verify(GOOD))).toBe('open server_error');
  server.injectFault({ kind: 'close-mid-body' });
  expect(brief(await verifier.verify(GOOD))).toBe('open unreachable');
});

describe.each([301, 302, 303, 307, 308])('a redirect, %d', (status) => {
  test.each(['dispatcher', 'fetch', 'the transport of the library'])(
    'carries neither key nor token to another origin: %s',
    async (way) => {
      let heard = 0;
      const elsewhere = createServer((socket) => {
        heard++;
        socket.destroy();
      });
      elsewhere.listen(0, '127.0.0.1');
      await once(elsewhere, 'listening');
      const { port } = elsewhere.address() as AddressInfo;
      const server = await startKeyServer({ keys: { [GOOD]: ACME }, serviceTokens: [TOKEN] });
      server.injectFault({ kind: 'redirect', location: `http://127.0.0.1:${port}/`, status });
      const agent = new Agent();
      const verifier = new KeyVerifier({
        verifyUrl: server.verifyUrl,
        serviceToken: TOKEN,
        failOpen: true,
        logger: { warn: () => undefined },
        ...(way === 'dispatcher' && { dispatcher: agent }),
        ...(way === 'fetch' && { fetch: async (url, init) => await fetch(url, init) }),
      });
      onTestFinished(async () => {
        await verifier.close();
        await agent.destroy();
        await server.close();
        elsewhere.close();
      });
      const result = await verifier.verify(GOOD);
      expect(brief(result)).toBe('closed misconfigured');
      expect(server.counts.requests).toBe(1);
      expect(heard).toBe(0);
    },
  );
});
