import { once } from 'node:events';
import { createServer, type TlsOptions } from 'node:tls';

import { Agent } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';

import { dispatcherTransport, fetchTransport } from '../../src/transport/runtime/node.js';
import type { Transport } from '../../src/transport/transport.js';
import { Authority } from '../helpers/authority.js';
import { ask } from '../helpers/http.js';

const authority = new Authority();
const ours = authority.issue('IP:127.0.0.1');

/** A TLS server that answers each request by these texts in turn, and hangs up where there are no more. */
async function serve(options: TlsOptions, ...answers: readonly string[]): Promise<string> {
  const pending = [...answers];
  const server = createServer(options, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => {
      const answer = pending.shift();
      if (answer === undefined) socket.end();
      else socket.write(answer);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  return `https://127.0.0.1:${String(typeof address === 'object' ? address?.port : undefined)}/`;
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}';

function agent(ca?: string): Agent {
  const made = new Agent({ connections: 1, connect: { ca } });
  onTestFinished(async () => await made.destroy());
  return made;
}

/** Through the agent, and through the `fetch` of Node with that agent. */
const WAYS: Readonly<Record<string, (url: string, through: Agent) => Transport>> = {
  undici: (url, through) => dispatcherTransport?.(url, through) ?? expect.fail('undici runs on Node'),
  fetch: (_url, through) =>
    fetchTransport(async (url, init) => await fetch(url, Object.assign(init, { dispatcher: through }))),
};

describe.each(Object.entries(WAYS))('over TLS, by %s', (_name, make) => {
  const kindOf = async (url: string, through: Agent) =>
    await make(url, through)
      .send(ask(url))
      .response.then(
        ({ status }) => status,
        (error: unknown) => Reflect.get(Object(error), 'kind') as unknown,
      );

  test('a server that we trust is reached', async () => {
    expect(await kindOf(await serve(ours, OK), agent(authority.cert))).toBe(200);
  });

  test('a certificate that nobody vouches for, of another host, or that is over, is no outage', async () => {
    expect(await kindOf(await serve(ours, OK), agent())).toBe('misconfigured');
    expect(await kindOf(await serve(authority.issue('DNS:other.test'), OK), agent(authority.cert))).toBe(
      'misconfigured',
    );
    expect(await kindOf(await serve(authority.issue('IP:127.0.0.1', -1), OK), agent(authority.cert))).toBe(
      'misconfigured',
    );
  });

  test('a client certificate that is missing is no outage, even after the server has answered on other connections', async () => {
    const wanted = {
      ...ours,
      requestCert: true,
      rejectUnauthorized: true,
      ca: authority.cert,
      minVersion: 'TLSv1.3',
    } as const;
    expect(await kindOf(await serve(wanted, OK), agent(authority.cert))).toBe('invalid_response');
    const url = await serve(ours, OK);
    const transport = make(url, agent(authority.cert));
    expect((await transport.send(ask(url)).response).status).toBe(200);
    // On the connection that has answered a hang-up is one, and a new one gets no benefit of the doubt.
    await expect(transport.send(ask(url)).response).rejects.toMatchObject({ kind: 'unreachable' });
    await expect(transport.send(ask(url)).response).rejects.toMatchObject({ kind: 'invalid_response' });
  });

  test('a server that does not speak TLS is no outage', async () => {
    const { createServer: createTcpServer } = await import('node:net');
    const server = createTcpServer((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    expect(await kindOf(`https://127.0.0.1:${String(port)}/`, agent(authority.cert))).toBe('misconfigured');
  });
});
