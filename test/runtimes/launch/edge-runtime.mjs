import { EdgeRuntime } from 'edge-runtime';

import { bundle } from '../bundle.mjs';
import { host } from '../host.mjs';

/** The suite in edge-runtime. */
export async function inEdgeRuntime({ consumer, expects }) {
  const { code, modules } = await bundle(consumer, 'edge.js', {
    format: 'iife',
    conditions: ['edge-light', 'browser'],
  });
  if (modules.join() !== 'platform/isolate.js,transport/edge.js')
    throw new Error(`the bundle contains ${modules.join()}`);
  const { config, close } = await host(consumer);
  try {
    const runtime = new EdgeRuntime({ initialCode: code });
    // As text: objects of the other realm have other prototypes.
    return JSON.parse(
      await runtime.evaluate(`conformance(${JSON.stringify({ ...config, expects })}).then(JSON.stringify)`),
    );
  } finally {
    await close();
  }
}
