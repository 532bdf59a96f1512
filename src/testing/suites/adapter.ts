import { cases, httpCases, leavingCases, overloaded, type AdapterCheck } from './adapter-cases.js';
import { withRig, type AdapterUnderTest, type Limits } from './adapter-rig.js';
import type { ContractCase } from './contract-case.js';
import { checkAdapterUnderTest } from './validate.js';

/**
 * What every adapter must do, against a real key server and a service of your own. Each case starts both anew. Throws
 * `InvalidOptionsError` for wrong options.
 *
 * @example
 * ```ts
 * const serve: ServeAdapter = async (verifier, handler) => {
 *   const app = express();
 *   for (const [path, options] of Object.entries(adapterRoutes))
 *     app.all(path, apiKeyAuth(verifier, options), (req, res) => void res.json(handler(res.locals.identity)));
 *   const server = app.listen(0);
 *   await once(server, 'listening');
 *   const { port } = server.address() as AddressInfo;
 *   return { url: `http://127.0.0.1:${port}`, close: () => promisify(server.close.bind(server))() };
 * };
 * for (const { name, run } of adapterCases({ serve })) test(name, run);
 * ```
 */
export function adapterCases(adapter: AdapterUnderTest): readonly ContractCase[] {
  checkAdapterUnderTest(adapter);
  const toCase = (name: string, check: AdapterCheck, limits: Limits = {}): ContractCase => ({
    name,
    run: async () => await withRig(adapter, limits, check),
  });
  const checks = {
    ...cases,
    ...(adapter.leaves !== false && leavingCases),
    ...(adapter.http !== false && httpCases),
  };
  return [
    ...Object.entries(checks).map(([name, check]) => toCase(name, check)),
    toCase('answers 503 under overload, and does not fail open for it', overloaded, {
      maxConcurrency: 1,
      timeoutMs: 300,
    }),
  ];
}
