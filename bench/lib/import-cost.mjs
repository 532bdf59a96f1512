import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CPU_TIME = `process.on('exit', () => {
  const { user, system } = process.cpuUsage();
  process.stdout.write(String(user + system));
});`;

async function cpuMs(module) {
  const source = (module === undefined ? '' : `import ${JSON.stringify(module)};`) + CPU_TIME;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', source], {
    cwd: new URL('..', import.meta.url),
  });
  return Number(stdout) / 1_000;
}

/** Processor time of an import in a fresh process, above that of a bare process of the same round, in milliseconds. */
export async function importCosts(modules, rounds) {
  const samples = { 'a bare process': [], ...Object.fromEntries(Object.keys(modules).map((name) => [name, []])) };
  const names = Object.keys(samples);
  for (let round = 0; round < rounds; round++) {
    const took = {};
    // Forwards and backwards, so that a machine that speeds up or slows down affects all of them alike.
    for (const name of [...names, ...names.toReversed()])
      took[name] = (took[name] ?? 0) + (await cpuMs(modules[name])) / 2;
    for (const name of names) samples[name].push(took[name] - (name === 'a bare process' ? 0 : took['a bare process']));
  }
  return samples;
}
