import { createServer } from 'node:http';
import { connect, createServer as createServer2 } from 'node:http2';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

import { apiKeyAuth } from 'keyverify/node';
import { adapterRoutes } from 'keyverify/testing';
import { describe, expect, it } from 'vitest';

import { acme, saying } from '../guard/verifiers.js';
import { listen } from './listen.js';
import { testAdapter } from './suite.js';

testAdapter('node:http', async (verifier, handler) => {
  const listeners = Object.entries(adapterRoutes).map(
    ([path, options]) =>
      [
        path,
        apiKeyAuth(verifier, (_, res, identity) => void res.end(JSON.stringify(handler(identity))), options),
      ] as const,
  );
  const byPath = new Map(listeners);
  return await listen(createServer((req, res) => byPath.get(String(req.url))?.(req, res)));
});

describe('the listener for node:http2', () => {
  it('admits a valid key and denies everybody else', async () => {
    const server = createServer2(apiKeyAuth(saying(acme), (_, res, identity) => void res.end(identity.client)));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const get = async (headers: Record<string, string>) => {
      const stream = session.request(headers);
      const [response] = (await once(stream, 'response')) as [Record<string, unknown>];
      return [response[':status'], await text(stream)];
    };
    expect(await get({ 'x-api-key': 'sk-1' })).toEqual([200, 'acme']);
    expect(await get({})).toEqual([401, expect.stringContaining('missing_key')]);
    session.close();
    server.close();
    await once(server, 'close');
  });
});
