import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

const TIMEOUT_MS = 10_000;
const KEY = { client: 'acme', tenant: 'cust-A' };

async function eventually(check) {
  for (const since = Date.now(); Date.now() - since < TIMEOUT_MS; await sleep(20)) if (await check()) return;
  assert.fail(`not within ${TIMEOUT_MS} ms`);
}

const cases = {
  async 'across requests: a verifier at module scope keeps its cache'({ verify }) {
    assert.equal((await verify('refreshing', 'sk-1')).source, 'server');
    assert.equal((await verify('refreshing', 'sk-1')).source, 'cache');
  },

  // A cache that keeps time with timers would stop its clock for ever, because a timer dies with its request.
  async 'across requests: a revoked key is rejected after its TTL, even after many short requests'({ verify, server }) {
    for (let quick = 0; quick < 20; quick++) assert.equal((await verify('expiring', 'sk-1')).valid, true);
    server.revoke('sk-1');
    await eventually(async () => (await verify('expiring', 'sk-1')).reason === 'revoked');
  },

  async 'across requests: a request that ends before its verdict releases the key and its slot'({
    ask,
    verify,
    server,
  }) {
    for (let round = 0; round < 3; round++) {
      server.injectFault({ kind: 'hang' });
      const asked = server.asked('sk-2');
      await ask({ route: 'leave', use: 'busy', key: 'sk-2' });
      const client = new AbortController();
      const gone = ask({ route: 'verify', use: 'busy', key: 'sk-2' }, client.signal).catch(({ name }) => name);
      await eventually(() => server.asked('sk-2') >= asked + 1);
      client.abort();
      assert.equal(await gone, 'AbortError');
      server.clearFaults();
      assert.equal((await verify('busy', `sk-3-${round}`)).valid, false);
    }
    assert.equal((await verify('busy', 'sk-2')).source, 'server');
    assert.equal((await verify('busy', 'sk-2')).source, 'cache');
  },

  async 'across requests: a probe that dies with its request does not keep the breaker open'({ ask, verify, server }) {
    server.injectFault({ kind: 'status', status: 503 });
    assert.equal((await verify('breaking', 'sk-1')).failure.kind, 'server_error');
    server.injectFault({ kind: 'hang' });
    await eventually(async () => {
      await ask({ route: 'leave', use: 'breaking', key: 'sk-2' });
      return (await ask({ route: 'stats', use: 'breaking' })).breaker === 'half-open';
    });
    server.clearFaults();
    await eventually(async () => (await verify('breaking', 'sk-2')).source === 'server');
  },

  async 'across requests: with waitUntil, a refresh outlives its request'({ ask, verify, server }) {
    assert.equal((await verify('refreshing', 'sk-2')).source, 'server');
    const asked = server.asked('sk-2');
    server.injectFault({ kind: 'delay', ms: 200 });
    // Without waitUntil there is no refresh: it would die with the request.
    assert.equal((await verify('refreshing', 'sk-2')).source, 'cache');
    const { source, verifiedAt } = await ask({ route: 'wait', use: 'refreshing', key: 'sk-2' });
    assert.equal(source, 'cache');
    await eventually(async () => (await verify('refreshing', 'sk-2')).verifiedAt > verifiedAt);
    assert.equal(server.asked('sk-2'), asked + 1);
  },
};

/** The cases that one request can't show: the state that one request leaves to the next. */
export async function acrossRequests(ask, server) {
  const verify = async (use, key) => await ask({ route: 'verify', use, key });
  const results = [];
  for (const [title, test] of Object.entries(cases)) {
    server.clearFaults();
    for (const key of ['sk-1', 'sk-2']) server.issue(key, KEY);
    try {
      await test({ ask, verify, server });
      results.push({ title, ok: true });
    } catch (error) {
      results.push({ title, ok: false, error: String(error.stack) });
    }
  }
  return results;
}
