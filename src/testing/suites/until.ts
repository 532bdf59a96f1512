import { setTimeout } from 'node:timers/promises';

/** Waits until it holds. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setTimeout(1);
}
