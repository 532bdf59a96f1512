import { describe, it } from 'vitest';

import { adapterCases, type AdapterUnderTest, type ServeAdapter } from 'keyverify/testing';

/** Runs the cases of every adapter with its real framework, on a real port. */
export function testAdapter(name: string, serve: ServeAdapter, options: Omit<AdapterUnderTest, 'serve'> = {}): void {
  describe(`the adapter for ${name}`, () => {
    it.each(adapterCases({ serve, ...options }))('$name', async ({ run }) => await run());
  });
}
