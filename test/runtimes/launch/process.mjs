import { host } from '../host.mjs';
import { run } from '../process.mjs';

/** The suite in a process of the runtime. */
export async function inProcess({ consumer, command, args = [], module, expects }) {
  const { config, close } = await host(consumer);
  try {
    const launcher = module === 'ESM' ? 'process.mjs' : 'process.cjs';
    return JSON.parse(
      await run(command, [...args, launcher, JSON.stringify({ ...config, expects })], { cwd: consumer }),
    );
  } finally {
    await close();
  }
}
