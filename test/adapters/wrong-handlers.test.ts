import { InvalidOptionsError } from 'keyverify';
import { apiKeyAuth as forFetch } from 'keyverify/fetch';
import { apiKeyAuth as forLambda } from 'keyverify/lambda';
import { apiKeyAuth as forNode } from 'keyverify/node';
import { apiKeyAuth as forWs } from 'keyverify/ws';
import { expect, it } from 'vitest';
import { WebSocketServer } from 'ws';

import { acme, saying } from '../guard/verifiers.js';

// A file that forgot to export its handler: found at start, and not by the first caller with a good key.
it.each<[string, (handler: never) => unknown, string]>([
  ['node:http', (handler) => forNode(saying(acme), handler), 'handler'],
  ['ws', (handler) => forWs(saying(acme), new WebSocketServer({ noServer: true }), handler), 'onConnection'],
  ['fetch', (handler) => forFetch(saying(acme)).protect(handler), 'handler'],
  ['Lambda', (handler) => forLambda(saying(acme)).protect(handler), 'handler'],
])('the adapter for %s refuses what is no handler', (_, build, name) => {
  for (const [handler, got] of [
    [undefined, 'undefined'],
    [null, 'null'],
    [{}, 'an object'],
    ['handler', 'a string of 7 characters'],
  ] as const)
    expect(() => build(handler as never)).toThrow(
      new InvalidOptionsError([`${name}: expected a function, got ${got}`]),
    );
});
