import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const times = () =>
  cpus().reduce(
    ({ idle, all }, { times }) => ({
      idle: idle + times.idle,
      all: all + Object.values(times).reduce((sum, ms) => sum + ms, 0),
    }),
    { idle: 0, all: 0 },
  );

/** How busy the machine is with other things, from 0 to 1: nothing of ours runs meanwhile. */
export async function busyShare(ms) {
  const before = times();
  await sleep(ms);
  const after = times();
  return 1 - (after.idle - before.idle) / (after.all - before.all);
}
