import { defineConfig } from 'tsup';

/** One subpath for each framework. */
const adapters = Object.fromEntries(
  ['express', 'fastify', 'fetch', 'grpc', 'hono', 'koa', 'nest', 'ws'].map((name) => [name, `src/adapters/${name}.ts`]),
);

export default defineConfig({
  entry: {
    index: 'src/index.ts',
    'testing/index': 'src/testing/index.ts',
    'platform/node': 'src/platform/node.ts',
    'platform/server': 'src/platform/server.ts',
    'platform/web': 'src/platform/web.ts',
    'platform/isolate': 'src/platform/isolate.ts',
    ...adapters,
  },
  format: ['esm', 'cjs'],
  target: 'es2022',
  platform: 'neutral',
  tsconfig: 'tsconfig.node.json',
  dts: {
    entry: { index: 'src/index.ts', 'testing/index': 'src/testing/index.ts', ...adapters },
    resolve: ['@standard-schema/spec'],
    // tsup sets baseUrl, which TypeScript 6 calls deprecated.
    compilerOptions: { ignoreDeprecations: '6.0' },
  },
  clean: true,
  splitting: true,
  // The runtime picks this file through the "imports" of package.json, so it must stay an import.
  external: ['#platform', 'undici', 'lru-cache', /^node:/],
  noExternal: ['zod', '@noble/hashes', 'leven'],
  removeNodeProtocol: false,
});
