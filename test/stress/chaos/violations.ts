const SAMPLES_EACH = 3;

/** What was wrong, counted by kind and verifier, with some samples of each kind. */
export class Violations {
  readonly samples: string[] = [];
  readonly #counts = new Map<string, number[]>();
  readonly #names: readonly string[];

  constructor(names: readonly string[]) {
    this.#names = names;
  }

  add(verifier: number, kind: string, sample?: unknown): void {
    const counts = this.#counts.get(kind) ?? this.#names.map(() => 0);
    this.#counts.set(kind, counts);
    counts[verifier] = (counts[verifier] ?? 0) + 1;
    if (total(counts) > SAMPLES_EACH) return;
    this.samples.push(
      `${this.#names[verifier] ?? ''}: ${kind}${sample === undefined ? '' : `: ${JSON.stringify(sample)}`}`,
    );
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, counts) => sum + total(counts), 0);
  }

  get byKind(): Record<string, number> {
    return Object.fromEntries(this.#sorted().map(([kind, counts]) => [kind, total(counts)]));
  }

  /** A line for each kind, a column for each verifier. */
  get table(): Record<string, Record<string, number>> {
    const row = (counts: number[]): [string, number][] => this.#names.map((name, i) => [name, counts[i] ?? 0]);
    return Object.fromEntries(this.#sorted().map(([kind, counts]) => [kind, Object.fromEntries(row(counts))]));
  }

  #sorted(): [string, number[]][] {
    return [...this.#counts].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }));
  }
}

const total = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);
