import { EventEmitter } from 'node:events';
import { createServer } from 'node:http';

import { describe, expect, it } from 'vitest';

import { createGuard } from '../../src/guard/guard.js';
import type { KeySource } from '../../src/guard/key-sources.js';
import { guardNode, type NodeRequest, sendDenial } from '../../src/guard/node.js';
import { VERIFY_NOW } from '../../src/core/verifier.js';
import { listen } from '../adapters/listen.js';
import { acme, rejected, saying } from './verifiers.js';

const withKey = { headers: { 'x-api-key': 'sk-1' } };

describe('a request of node:http', () => {
  it('is no longer waited for once its caller has left, and nobody listens when the wait is over', async () => {
    const verifier = saying(acme);
    const caller = new EventEmitter();
    const decision = guardNode(createGuard(verifier), withKey, caller);
    expect(verifier.asked[0]?.options?.signal?.aborted).toBe(false);
    caller.emit('close');
    expect(verifier.asked[0]?.options?.signal?.aborted).toBe(true);
    await decision;
    caller.once('close', () => undefined);
    expect(caller.listenerCount('close')).toBe(1);
  });

  it('is listened to for as long as the wait takes', async () => {
    const caller = new EventEmitter();
    const decision = guardNode(createGuard(saying(acme)), withKey, caller);
    expect(caller.listenerCount('close')).toBe(1);
    expect(await decision).toEqual({ allowed: true, identity: acme });
    expect(caller.listenerCount('close')).toBe(0);
  });

  it('is listened to once for all that wait for one caller', async () => {
    const caller = new EventEmitter();
    const verifier = saying(acme);
    const decisions = Array.from({ length: 40 }, async () => await guardNode(createGuard(verifier), withKey, caller));
    expect(caller.listenerCount('close')).toBe(1);
    caller.emit('close');
    expect(verifier.asked.filter(({ options }) => options?.signal?.aborted)).toHaveLength(40);
    await Promise.all(decisions);
    expect(caller.listenerCount('close')).toBe(0);
    await guardNode(createGuard(verifier), withKey, caller);
    expect([caller.listenerCount('close'), verifier.asked.length]).toEqual([0, 41]);
  });

  it('is listened to until the last wait ends', async () => {
    const caller = new EventEmitter();
    let decide = (): void => undefined;
    const decided = new Promise<typeof acme>((resolve) => {
      decide = () => resolve(acme);
    });
    const slow = guardNode(createGuard({ verify: async () => await decided }), withKey, caller);
    await guardNode(createGuard(saying(acme)), withKey, caller);
    expect(caller.listenerCount('close')).toBe(1);
    decide();
    await slow;
    expect(caller.listenerCount('close')).toBe(0);
  });

  it('is aborted without a question if its caller had left before', async () => {
    const caller = Object.assign(new EventEmitter(), { destroyed: true });
    const verifier = saying(acme);
    const decision = await guardNode(createGuard(verifier), withKey, caller);
    expect(decision).toMatchObject({ denial: { status: 499, reason: 'aborted' } });
    expect([verifier.asked, caller.listenerCount('close')]).toEqual([[], 0]);
  });

  it.each<[string, NodeRequest, string]>([
    ['the key that its headers have', { headers: { 'x-api-key': 'sk-1' } }, 'revoked'],
    ['the key that middleware has set', { headers: { 'x-api-key': 'sk-1' }, rawHeaders: ['Host', 'here'] }, 'revoked'],
    ['no key that middleware has deleted', { headers: {}, rawHeaders: ['X-Api-Key', 'sk-1'] }, 'missing_key'],
    [
      'two keys, of which Node keeps the first',
      {
        headers: { authorization: 'Bearer sk-1' },
        rawHeaders: ['Authorization', 'Bearer sk-1', 'authorization', 'Bearer sk-2'],
      },
      'ambiguous_key',
    ],
    ['nothing where middleware has set null', { headers: { 'x-api-key': null as never } }, 'missing_key'],
    ['nothing where middleware has set a number', { headers: { 'x-api-key': 1 as never } }, 'missing_key'],
    ['one key in an array, as a shim makes it', { headers: { 'x-api-key': ['sk-1'] } }, 'revoked'],
    ['two keys in an array, as a shim makes it', { headers: { 'x-api-key': ['sk-1', 'sk-2'] } }, 'ambiguous_key'],
    [
      'nothing of another name as long',
      { headers: { 'x-api-key': 'sk-1' }, rawHeaders: ['X-Foo-Bar', 'sk-2', 'X-Api-Key', 'sk-1'] },
      'revoked',
    ],
    [
      'two headers, the second of which has no value',
      { headers: { 'x-api-key': 'sk-1' }, rawHeaders: ['X-Api-Key', 'sk-1', 'X-Api-Key'] },
      'ambiguous_key',
    ],
    ['a name without a value as nothing', { headers: { 'x-api-key': 'sk-1' }, rawHeaders: ['X-Api-Key'] }, 'revoked'],
  ])('has %s', async (_, request, reason) => {
    const guard = createGuard(saying(rejected('revoked')));
    expect(await guardNode(guard, request, new EventEmitter())).toMatchObject({ denial: { reason } });
  });

  it.each<[string, NodeRequest, KeySource]>([
    [
      'what middleware has set in place of what was sent',
      { headers: { 'x-api-key': 'sk-1' }, rawHeaders: ['Host', 'here', 'X-Api-Key', 'sk-2'] },
      { header: 'x-api-key' },
    ],
    [
      'the values of a header that came twice, and of no other',
      {
        headers: { cookie: 'a=1; key=sk-1' },
        rawHeaders: ['Cookie', 'a=1', 'X-Note', 'key=sk-2', 'cookie', 'key=sk-1'],
      },
      { cookie: 'key' },
    ],
    [
      'no value that is called like a header as its name',
      {
        headers: { 'sec-websocket-protocol': 'v1, key.sk-1' },
        rawHeaders: [
          ...['Sec-WebSocket-Protocol', 'v1'],
          ...['X-Note', 'sec-websocket-protocol'],
          ...['key.sk-2', 'x'],
          ...['Sec-WebSocket-Protocol', 'key.sk-1'],
        ],
      },
      { subprotocol: 'key.' },
    ],
  ])('has %s', async (_, request, source) => {
    const verifier = saying(acme);
    await guardNode(createGuard(verifier, { keySources: [source] }), request, new EventEmitter());
    expect(verifier.asked).toMatchObject([{ key: 'sk-1' }]);
  });

  it('has the id that a framework gave it, if it is a text', async () => {
    const idFor = async (id: unknown) => {
      const headers = { 'x-request-id': 'req-7' };
      const { denial } = await guardNode(createGuard(saying(acme)), { headers, id }, new EventEmitter());
      return denial?.headers['x-request-id'];
    };
    expect(await idFor('req-a')).toBe('req-a');
    for (const id of [undefined, 7, {}, () => 'req-a']) expect(await idFor(id)).toBe('req-7');
  });

  it('has the query of its URL, if it has one', async () => {
    const verifier = saying(acme);
    const guard = createGuard(verifier, { keySources: [{ query: 'key' }] });
    await guardNode(guard, { headers: {}, url: '/orders?key=sk-1' }, new EventEmitter());
    expect(verifier.asked).toMatchObject([{ key: 'sk-1' }]);
    expect(await guardNode(guard, { headers: {} }, new EventEmitter())).toMatchObject({
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
    const cachedOnly = { ...saying(acme), [VERIFY_NOW]: () => acme };
    const request = { headers: { authorization: 'Bearer sk-1' } };
    expect(guardNode(createGuard(cachedOnly), request, caller)).toEqual({ allowed: true, identity: acme });
    expect(caller.listenerCount('close')).toBe(0);
    // A denial takes its time, but waits for nobody who could leave.
    await guardNode(createGuard(saying(acme)), { headers: {} }, caller);
    expect(caller.listenerCount('close')).toBe(0);
  });

  it('is not answered if something else has answered it meanwhile', async () => {
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
