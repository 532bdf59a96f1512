import { defineConfig, type Options } from 'tsup';

/** One subpath for each framework. */
const adapters = Object.fromEntries(
  ['express', 'fastify', 'fetch', 'grpc', 'hono', 'koa', 'nest', 'ws'].map((name) => [name, `src/adapters/${name}.ts`]),
);

const shared: Options = {
  format: ['esm', 'cjs'],
  target: 'es2022',
  platform: 'neutral',
  tsconfig: 'tsconfig.node.json',
  // The runtime picks this file through the "imports" of package.json, so it must stay an import.
  external: ['#platform', 'undici', 'lru-cache', /^node:/],
  noExternal: ['zod', '@noble/hashes', 'leven'],
  removeNodeProtocol: false,
};

export default defineConfig([
  {
    ...shared,
    entry: { index: 'src/index.ts', 'testing/index': 'src/testing/index.ts', ...adapters },
    dts: {
      entry: { index: 'src/index.ts', 'testing/index': 'src/testing/index.ts', ...adapters },
      resolve: ['@standard-schema/spec'],
      // tsup sets baseUrl, which TypeScript 6 calls deprecated.
      compilerOptions: { ignoreDeprecations: '6.0' },
    },
    splitting: true,
  },
  {
    ...shared,
    entry: ['node', 'server', 'web', 'isolate'].map((name) => `src/platform/${name}.ts`),
    outDir: 'dist/platform',
    // Each whole in itself: of these a process loads one, and every file costs time at import.
    splitting: false,
  },
]);
