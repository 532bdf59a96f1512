import type * as Dns from 'node:dns';
import type { LookupFunction } from 'node:net';

type LookupCallback = Parameters<LookupFunction>[2];

/**
 * Looks a host name up once for all who wait for it. Each lookup holds one of libuv's few threads: as many as there are
 * connections to open would block the files and the hashing of the whole process while a resolver hangs.
 */
export function coalescedLookup(lookup: typeof Dns.lookup): LookupFunction {
  const waiting = new Map<string, LookupCallback[]>();
  return (hostname, options, callback) => {
    const { family, hints, all } = options;
    const question = JSON.stringify([hostname, family, hints, all]);
    const others = waiting.get(question);
    if (others !== undefined) return void others.push(callback);
    const callbacks = [callback];
    waiting.set(question, callbacks);
    lookup(hostname, options, (...answer) => {
      waiting.delete(question);
      for (const tell of callbacks) tell(...answer);
    });
  };
}
