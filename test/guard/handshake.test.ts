import { describe, expect, it } from 'vitest';

import { fromHandshake, type HandshakeSocket } from '../../src/guard/handshake.js';
import { readKey } from '../../src/guard/key-sources.js';

const keyOf = (socket: HandshakeSocket) => readKey(fromHandshake(socket));

describe('a handshake', () => {
  it.each<[string, HandshakeSocket, unknown]>([
    ['its headers', { handshake: { headers: { 'x-api-key': 'sk-1' } } }, { key: 'sk-1' }],
    ['auth.token', { handshake: { headers: {}, auth: { token: 'sk-1' } } }, { key: 'sk-1' }],
    ['no token that is no text', { handshake: { headers: {}, auth: { token: ['sk-1'] } } }, { key: null }],
    [
      'auth.token beside credentials for somebody else',
      { handshake: { headers: { authorization: 'Basic eDp5' }, auth: { token: 'sk-1' } } },
      { key: 'sk-1' },
    ],
    [
      'not auth.token beside a bearer',
      { handshake: { headers: { authorization: 'Bearer sk-2' }, auth: { token: 'sk-1' } } },
      { ambiguous: true },
    ],
    [
      'no header that came twice',
      {
        handshake: { headers: { authorization: 'Bearer sk-1' } },
        request: { headers: {}, rawHeaders: ['Authorization', 'Bearer sk-1', 'Authorization', 'Bearer sk-2'] },
      },
      { ambiguous: true },
    ],
  ])('takes a key from %s', (_, socket, found) => {
    expect(keyOf(socket)).toEqual(found);
  });

  it('keeps what else a request has beside auth.token', () => {
    const { signal } = new AbortController();
    const headers = { 'x-request-id': 'req-7' };
    const read = fromHandshake({ handshake: { headers, url: '/?a=b', auth: { token: 'sk-1' } } }, () => signal);
    expect([read.url, read.signal?.(), read.header('x-request-id')]).toEqual(['/?a=b', signal, ['req-7']]);
  });
});
