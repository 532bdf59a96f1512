import type { SharedCache } from 'keyverify';
import type { MemoryFleet } from 'keyverify/testing';

/** How a store fails: it never answers, throws what it was given, or takes nothing more. */
export type StoreFault = 'hang' | 'throw' | 'full';

/** The shared cache of a fleet in memory, with faults on demand. */
export function faultyStore({ sharedCache: works }: MemoryFleet) {
  const state: { fault: StoreFault | undefined } = { fault: undefined };
  const within = async <T>(given: readonly unknown[], work: () => Promise<T>): Promise<T> => {
    if (state.fault === 'hang') return await new Promise(() => undefined);
    if (state.fault === 'throw') throw new Error(`refused: ${given.map((part) => JSON.stringify(part)).join(' ')}`);
    return await work();
  };
  const sharedCache: SharedCache = {
    fleet: works.fleet,
    get: async (key) => await within([key.fingerprint, key.namespace], async () => await works.get(key)),
    put: async (key, value, options) =>
      await within([key.fingerprint, value], async () => {
        if (state.fault === 'full') throw new Error('OOM command not allowed');
        return await works.put(key, value, options);
      }),
    lease: async (key, ms) => await within([key.fingerprint], async () => await works.lease(key, ms)),
  };
  return { sharedCache, state };
}
