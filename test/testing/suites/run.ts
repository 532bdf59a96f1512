import { expect } from 'vitest';

import type { ContractCase } from 'keyverify/testing';

/** The names of the cases that fail, and for what each fails must be an assertion. */
export async function failing(cases: readonly ContractCase[]): Promise<string[]> {
  const failed: string[] = [];
  for (const { name, run } of cases) {
    const error: unknown = await run().then(
      () => undefined,
      (reason: unknown) => reason ?? 'nothing',
    );
    if (error === undefined) continue;
    expect(error, name).toBeInstanceOf(Error);
    failed.push(name);
  }
  return failed;
}
