/** One requirement of a contract. Needs no test runner: `for (const { name, run } of cases) test(name, run)`. */
export interface ContractCase {
  /** The requirement, as the title of a test. */
  readonly name: string;
  /** Rejects with an `AssertionError` if the requirement is not met. */
  readonly run: () => Promise<void>;
}
