import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { mebibytes } from './figures.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** MemoryUsage in MiB, `heap` being what is left of it after a garbage collection. */
export interface MemoryUsage {
  readonly rss: number;
  readonly heap: number;
  readonly external: number;
}

export async function memoryUsage(): Promise<MemoryUsage> {
  // Twice, because finalizers run in between and release more.
  collect();
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss: mebibytes(rss), heap: mebibytes(heapUsed), external: mebibytes(external) };
}
