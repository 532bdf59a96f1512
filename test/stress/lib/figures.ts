import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';

import { format } from 'prettier';

/** What one command found, as it stands in docs/reliability.md. */
export interface Figures {
  readonly command: string;
  readonly date: string;
  readonly machine: string;
  readonly figures: Readonly<Record<string, unknown>>;
}

const FOLDER = new URL('../../../docs/figures/', import.meta.url);

/** The whole numbers on the command line, by name; `--save` keeps the figures for the docs. */
export function numbers<Name extends string>(defaults: Readonly<Record<Name, number>>): Record<Name, number> {
  const options = Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: 'string' as const }]));
  const { values } = parseArgs({ options: { ...options, save: { type: 'boolean' as const } } });
  const given = Object.entries(values).filter(([name]) => name !== 'save');
  const read = { ...defaults, ...Object.fromEntries(given.map(([name, value]) => [name, Number(value)])) };
  if (Object.values(read).some((value) => !Number.isSafeInteger(value))) throw new RangeError('expected whole numbers');
  return read;
}

/** Prints the figures, and keeps them where `--save` is given. */
export async function publish(name: string, figures: Readonly<Record<string, unknown>>): Promise<void> {
  console.log(JSON.stringify(figures, null, 2));
  if (!process.argv.includes('--save')) return;
  const args = process.argv.slice(2).filter((arg) => arg !== '--save');
  const whole: Figures = {
    command: ['npm run', name, ...(args.length > 0 ? ['--', ...args] : [])].join(' '),
    date: new Date().toISOString().slice(0, 10),
    machine: `${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}, ${process.platform} ${process.arch}`,
    figures,
  };
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(
    new URL(`${name}.json`, FOLDER),
    await format(JSON.stringify(whole), { parser: 'json', printWidth: 120 }),
  );
}

export const mebibytes = (bytes: number): number => Number((bytes / 2 ** 20).toFixed(1));

/** The value below which a share of the sorted values lies. */
export function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
