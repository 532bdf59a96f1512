/** `npm run stress <name>`: runs one of the stress tests, or rewrites docs/reliability.md from the stored figures. */
const tests: Readonly<Record<string, () => Promise<unknown>>> = {
  chaos: async () => await import('./chaos/main.js'),
  flood: async () => await import('./flood/main.js'),
  soak: async () => await import('./soak/main.js'),
  recovery: async () => await import('./recovery/main.js'),
  'chaos-fleet': async () => await import('./fleet/chaos/main.js'),
  fleet: async () => await import('./fleet/main.js'),
  'fleet-cost': async () => await (await import('./fleet/commands.js')).cost(),
  'fleet-flood': async () => await (await import('./fleet/commands.js')).flood(),
  'fleet-lag': async () => await (await import('./fleet/commands.js')).lag(),
  page: async () => {
    const { writeReliability } = await import('./page.js');
    await writeReliability();
  },
};

const [test = ''] = process.argv.splice(2, 1);
const run = tests[test];
if (run === undefined) {
  console.error(`npm run stress <${Object.keys(tests).join(' | ')}> [-- options]`);
  process.exitCode = 1;
} else await run();

export {};
