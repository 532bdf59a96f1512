import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { mebibytes } from './figures.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Memory in MiB, `heap` being what is left of it after a garbage collection. */
export interface Memory {
  readonly rss: number;
  readonly heap: number;
  readonly external: number;
}

export async function memory(): Promise<Memory> {
  // Twice, and with a turn in between: what finalizers hold goes with the second.
  collect();
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss: mebibytes(rss), heap: mebibytes(heapUsed), external: mebibytes(external) };
}
