import { describe, it } from 'vitest';

import { adapterCases, type AdapterUnderTest, type ServeAdapter } from 'keyverify/testing';

interface Options extends Omit<AdapterUnderTest, 'serve'> {
  /** The names of cases that the framework, or what is before it, makes impossible. */
  readonly except?: readonly string[];
}

/** Runs the cases of every adapter with its real framework, on a real port. */
export function testAdapter(name: string, serve: ServeAdapter, { except = [], ...options }: Options = {}): void {
  describe(`the adapter for ${name}`, () => {
    const cases = adapterCases({ serve, ...options });
    it.each(cases.filter((each) => !except.includes(each.name)))('$name', async ({ run }) => await run());
  });
}
