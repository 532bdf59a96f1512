import { readdirSync } from 'node:fs';

import { defineConfig, type Options } from 'tsup';

/** One subpath for each framework. */
const adapters = Object.fromEntries(
  readdirSync('src/adapters')
    .map((file) => file.replace(/\.ts$/, ''))
    .map((name) => [name, `src/adapters/${name}.ts`]),
);

const entry = {
  index: 'src/index.ts',
  guard: 'src/guard/index.ts',
  protocols: 'src/protocols/index.ts',
  otel: 'src/observe/otel.ts',
  fleet: 'src/backends/fleet.ts',
  redis: 'src/backends/redis.ts',
  sse: 'src/backends/sse.ts',
  'testing/index': 'src/testing/index.ts',
  ...adapters,
};

const shared: Options = {
  format: ['esm', 'cjs'],
  target: 'es2022',
  platform: 'neutral',
  tsconfig: 'tsconfig.node.json',
  // The runtime picks these files through the "imports" of package.json, so they must stay imports.
  external: ['#platform', '#transport', 'undici', 'lru-cache', /^node:/],
  noExternal: ['zod', '@noble/hashes', 'leven'],
  removeNodeProtocol: false,
};

export default defineConfig([
  {
    ...shared,
    entry,
    dts: {
      entry,
      resolve: ['@standard-schema/spec'],
      // tsup sets baseUrl, which TypeScript 6 calls deprecated.
      compilerOptions: { ignoreDeprecations: '6.0' },
    },
    splitting: true,
  },
  ...[
    { outDir: 'dist/platform', source: 'src/platform', names: ['server', 'web', 'isolate'] },
    {
      outDir: 'dist/transport',
      source: 'src/transport/runtime',
      names: ['node', 'bun', 'deno', 'workerd', 'edge', 'web'],
    },
  ].map(({ outDir, source, names }) => ({
    ...shared,
    entry: names.map((name) => `${source}/${name}.ts`),
    outDir,
    // Each whole in itself: of these a process loads one, and every file costs time at import.
    splitting: false,
  })),
]);
