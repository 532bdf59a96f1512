import { EventEmitter } from 'node:events';
import { createServer } from 'node:http';

import { describe, expect, it } from 'vitest';

import { createGuard } from '../../src/http/guard.js';
import { answerNode, guardNode } from '../../src/http/node.js';
import { listen } from '../adapters/suite.js';
import { acme, saying } from './verifiers.js';

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

  it('is not listened to where there is no wait', async () => {
    const caller = new EventEmitter();
    const recalling = { ...saying(acme), recall: () => acme };
    const request = { rawHeaders: ['Host', 'here', 'AUTHORIZATION', 'Bearer sk-1'] };
    expect(guardNode(createGuard(recalling), request, caller)).toEqual({ allowed: true, identity: acme });
    expect(caller.listenerCount('close')).toBe(0);
    // A denial takes its time, but waits for nobody who could leave.
    await guardNode(createGuard(saying(acme)), { rawHeaders: [] }, caller);
    expect(caller.listenerCount('close')).toBe(0);
  });

  it('is left alone where somebody else has answered it in the meantime', async () => {
    const denial = { status: 401, headers: { 'x-late': '1' }, body: 'late', content: 'late', reason: 'late' };
    const server = createServer((_, res) => {
      res.writeHead(504).flushHeaders();
      answerNode(res, denial);
      res.end('timed out');
    });
    const { url, close } = await listen(server);
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([504, 'timed out']);
    await close();
  });
});
