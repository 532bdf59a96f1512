import { availableParallelism, cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';

import { writeDoc } from '../../../tools/pages.js';
import { writeReliability } from '../page.js';

/** The result of one command, as docs/figures/ keeps it. */
export interface Figures {
  readonly command: string;
  readonly date: string;
  readonly machine: string;
  /** Scalars first, then tables. */
  readonly figures: Readonly<Record<string, unknown>>;
}

/** The integers on the command line, by name. */
export function numbers<Name extends string>(defaults: Readonly<Record<Name, number>>): Record<Name, number> {
  const options = Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: 'string' as const }]));
  const { values } = parseArgs({ options: { ...options, save: { type: 'boolean' as const } } });
  const given = Object.entries(values).filter(([name]) => name !== 'save');
  const read = { ...defaults, ...Object.fromEntries(given.map(([name, value]) => [name, Number(value)])) };
  if (Object.values(read).some((value) => !Number.isSafeInteger(value))) throw new RangeError('expected integers');
  return read;
}

/** Prints the figures. With `--save`, also keeps them in docs/figures/ and updates docs/reliability.md. */
export async function publish(name: string, figures: Readonly<Record<string, unknown>>): Promise<void> {
  console.log(JSON.stringify(figures, null, 2));
  if (!process.argv.includes('--save')) return;
  const args = process.argv.slice(2).filter((arg) => arg !== '--save');
  const all: Figures = {
    command: [
      `npm run ${name === 'peers' ? 'bench' : 'stress'} ${name}`,
      ...(args.length > 0 ? ['--', ...args] : []),
    ].join(' '),
    date: new Date().toISOString().slice(0, 10),
    machine: `${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}, ${process.platform} ${process.arch}`,
    figures,
  };
  await writeDoc(`figures/${name}.json`, JSON.stringify(all));
  await writeReliability();
}

export const mebibytes = (bytes: number): number => Number((bytes / 2 ** 20).toFixed(1));

/** The value below which this ratio of the sorted values lies. */
export function percentile(sorted: Float64Array, ratio: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * ratio))] ?? NaN;
}
