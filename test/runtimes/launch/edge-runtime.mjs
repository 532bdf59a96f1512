import { EdgeRuntime } from 'edge-runtime';

import { bundle } from '../bundle.mjs';
import { host } from '../host.mjs';

/** The suite in edge-runtime. */
export async function inEdgeRuntime({ consumer, expects }) {
  const { code, platforms } = await bundle(consumer, 'edge.js', {
    format: 'iife',
    conditions: ['edge-light', 'browser'],
  });
  if (platforms.join() !== 'isolate.js') throw new Error(`the bundle holds ${platforms.join()}`);
  const { config, close } = await host(consumer);
  try {
    const runtime = new EdgeRuntime({ initialCode: code });
    // As text: what comes out of the other realm is compared by nobody.
    return JSON.parse(
      await runtime.evaluate(`conformance(${JSON.stringify({ ...config, expects })}).then(JSON.stringify)`),
    );
  } finally {
    await close();
  }
}
