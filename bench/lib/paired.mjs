/** Measures every case in every round, in a rotating order: a slow phase of the machine affects all cases alike. */
export async function paired(cases, { rounds = 60, calls = 512, warmUp = 20 } = {}) {
  const names = Object.keys(cases);
  const samples = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = -warmUp; round < rounds; round++)
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round + warmUp) % names.length];
      const size = cases[name].calls ?? calls;
      const start = process.hrtime.bigint();
      await cases[name].run(size);
      const ns = Number(process.hrtime.bigint() - start) / size;
      if (round >= 0) samples[name].push(ns);
    }
  return samples;
}

export function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export const median = (values) => quantile(values, 0.5);

/** The median of the ratios of the single rounds, with their interquartile range. */
export function ratio(over, under) {
  const byRound = over.map((value, round) => value / under[round]);
  return { value: median(byRound), low: quantile(byRound, 0.25), high: quantile(byRound, 0.75) };
}

/** Runs a job `times` times, at most `concurrency` at once. */
export async function atOnce(concurrency, times, job) {
  let left = times;
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (left-- > 0) await job();
    }),
  );
}
