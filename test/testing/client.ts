import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { request } from 'undici';

import type { KeyServer } from 'keyverify/testing';

export interface Asked {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

interface Ask {
  readonly scope?: string | undefined;
  readonly token?: string | undefined;
  readonly method?: string;
  readonly path?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Asks as a client of the contract does, but for what `ask` changes. */
export async function ask(server: KeyServer, key: string, ask: Ask = {}): Promise<Asked> {
  const { scope, token = 'service-token', method = 'POST', path = '/internal/verify-key', headers } = ask;
  const response = await request(server.url + path, {
    method,
    headers: { 'content-type': 'application/json', 'x-service-token': token, ...headers },
    ...(method !== 'GET' && { body: ask.body ?? JSON.stringify({ key, scope }) }),
  });
  return { status: response.statusCode, headers: response.headers, body: await response.body.text() };
}

const rawRequest = (key: string): string => {
  const body = JSON.stringify({ key });
  return (
    'POST /internal/verify-key HTTP/1.1\r\nhost: localhost\r\nx-service-token: service-token\r\n' +
    `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  );
};

/** What a client without any HTTP library sees. */
export interface Raw {
  readonly socket: Socket;
  /** Everything that has come so far. */
  readonly text: () => string;
  /** How many times something came. */
  readonly pieces: () => number;
  /** How it ended: in good order, or with the code of an error. */
  readonly ended: Promise<string>;
}

export async function rawAsk(server: KeyServer, key = 'sk-1'): Promise<Raw> {
  const socket = connect(server.port, '127.0.0.1');
  let text = '';
  let pieces = 0;
  socket.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
    pieces++;
  });
  const ended = new Promise<string>((resolve) => {
    socket.once('end', () => resolve('end'));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)));
  });
  await once(socket, 'connect');
  socket.write(rawRequest(key));
  return { socket, text: () => text, pieces: () => pieces, ended };
}

/** Waits for what no event of the client's tells. The test's own timeout bounds it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}
