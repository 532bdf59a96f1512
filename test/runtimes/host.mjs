import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';

const KEY = { client: 'acme', tenant: 'cust-A', keyId: 'k-1', claims: { plan: 'gold' } };

/**
 * One row's own key server, from the packed package, and an origin beside it. The origin controls the key server
 * (`/control`), proxies browsers' requests to it (so there is no CORS), and serves `files`, by path, with `headers`.
 */
export async function host(consumer, { files = {}, headers = {} } = {}) {
  const { startKeyServer } = createRequire(`${consumer}/`)('keyverify/testing');
  const server = await startKeyServer({ keys: { 'sk-good': KEY } });
  const methods = {
    async reset() {
      server.clearFaults();
      server.issue('sk-good', KEY);
      await server.start();
    },
    injectFault: (...args) => server.injectFault(...args),
    revoke: (key) => server.revoke(key),
    asked: (key) => server.asked(key),
    counts: () => server.counts,
    stop: () => server.stop(),
  };
  const origin = createServer(async (incoming, outgoing) => {
    if (incoming.url === '/control') {
      const { method, args } = JSON.parse(await text(incoming));
      outgoing.end(JSON.stringify({ value: (await methods[method](...args)) ?? null }));
    } else if (incoming.url === new URL(server.verifyUrl).pathname) {
      forward(incoming, outgoing, server.verifyUrl);
    } else {
      const [type, body] = files[incoming.url] ?? ['text/plain', undefined];
      outgoing.writeHead(body === undefined ? 404 : 200, { 'content-type': type, ...headers }).end(body);
    }
  });
  await once(origin.listen(0, '127.0.0.1'), 'listening');
  const { port } = origin.address();
  return {
    server,
    port,
    config: { verifyUrl: server.verifyUrl, controlUrl: `http://127.0.0.1:${port}/control` },
    async close() {
      origin.closeAllConnections();
      origin.close();
      await server.close();
    },
  };
}

function forward(incoming, outgoing, url) {
  const onward = request(url, { method: incoming.method, headers: incoming.headers }, (answer) => {
    outgoing.writeHead(answer.statusCode, answer.headers);
    answer.pipe(outgoing);
  });
  onward.on('error', () => outgoing.destroy());
  outgoing.on('close', () => onward.destroy());
  incoming.pipe(onward);
}
