import { EventEmitter } from 'node:events';
import { createServer } from 'node:http';

import { describe, expect, it } from 'vitest';

import { VERIFY_NOW } from '../../src/core/verifier.js';
import { createGuard } from '../../src/guard/guard.js';
import { sendDenial, guardNode } from '../../src/guard/node.js';
import { listen } from '../adapters/listen.js';
import { acme, rejected, saying } from './verifiers.js';

describe('a request of node:http', () => {
  it('is no longer waited for once its caller has left, and nobody listens when the wait is over', async () => {
    const verifier = saying(acme);
    const caller = new EventEmitter();
    const decision = guardNode(createGuard(verifier), { rawHeaders: ['X-Api-Key', 'sk-1'] }, caller);
    expect(verifier.asked[0]?.options?.signal?.aborted).toBe(false);
    caller.emit('close');
    expect(verifier.asked[0]?.options?.signal?.aborted).toBe(true);
    await decision;
    caller.once('close', () => undefined);
    expect(caller.listenerCount('close')).toBe(1);
  });

  it('is listened to for as long as the wait takes', async () => {
    const caller = new EventEmitter();
    const decision = guardNode(createGuard(saying(acme)), { rawHeaders: ['X-Api-Key', 'sk-1'] }, caller);
    expect(caller.listenerCount('close')).toBe(1);
    expect(await decision).toEqual({ allowed: true, identity: acme });
    expect(caller.listenerCount('close')).toBe(0);
  });

  it.each<[string, string[], string]>([
    ['each value of a name, in any case of it', ['X-Api-Key', 'sk-1', 'x-api-key', 'sk-2'], 'ambiguous_key'],
    ['no value of a name as long', ['X-Foo-Bar', 'sk-1'], 'missing_key'],
    ['no value of a name as long beside it', ['X-Foo-Bar', 'sk-1', 'X-Api-Key', 'sk-2'], 'revoked'],
    ['a name without a value as one that is empty', ['X-Api-Key'], 'missing_key'],
  ])('has in its headers %s', async (_, rawHeaders, reason) => {
    const guard = createGuard(saying(rejected('revoked')));
    expect(await guardNode(guard, { rawHeaders }, new EventEmitter())).toMatchObject({ denial: { reason } });
  });

  it('has the query of its URL, if it has one', async () => {
    const verifier = saying(acme);
    const guard = createGuard(verifier, { keySources: [{ query: 'key' }] });
    await guardNode(guard, { rawHeaders: [], url: '/orders?key=sk-1' }, new EventEmitter());
    expect(verifier.asked).toMatchObject([{ key: 'sk-1' }]);
    expect(await guardNode(guard, { rawHeaders: [] }, new EventEmitter())).toMatchObject({
      denial: { reason: 'missing_key' },
    });
  });

  it('is answered with the status, the headers and the body of a denial', async () => {
    const denial = { status: 418, headers: { 'x-a': '1', 'x-b': '2' }, body: 'no', content: 'no', reason: 'tea' };
    const { url, close } = await listen(createServer((_, res) => sendDenial(res, denial)));
    const response = await fetch(url);
    expect([response.status, response.headers.get('x-a'), response.headers.get('x-b')]).toEqual([418, '1', '2']);
    expect(await response.text()).toBe('no');
    await close();
  });

  it('is not listened to where there is no wait', async () => {
    const caller = new EventEmitter();
    const withoutWait = { ...saying(acme), [VERIFY_NOW]: () => acme };
    const request = { rawHeaders: ['Host', 'here', 'AUTHORIZATION', 'Bearer sk-1'] };
    expect(guardNode(createGuard(withoutWait), request, caller)).toEqual({ allowed: true, identity: acme });
    expect(caller.listenerCount('close')).toBe(0);
    // A denial takes its time, but waits for nobody who could leave.
    await guardNode(createGuard(saying(acme)), { rawHeaders: [] }, caller);
    expect(caller.listenerCount('close')).toBe(0);
  });

  it('is left alone where somebody else has answered it in the meantime', async () => {
    const denial = { status: 401, headers: { 'x-late': '1' }, body: 'late', content: 'late', reason: 'late' };
    const server = createServer((_, res) => {
      res.writeHead(504).flushHeaders();
      sendDenial(res, denial);
      res.end('timed out');
    });
    const { url, close } = await listen(server);
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([504, 'timed out']);
    await close();
  });
});
