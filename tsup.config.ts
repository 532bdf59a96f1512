import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';

import * as esbuild from 'esbuild';
import { defineConfig, type Options } from 'tsup';

const INDEX = 'src/index.ts';

/** One subpath for each framework. */
const adapters = Object.fromEntries(
  readdirSync('src/adapters')
    .map((file) => file.replace(/\.ts$/, ''))
    .map((name) => [name, `src/adapters/${name}.ts`]),
);

const entry = {
  index: INDEX,
  guard: 'src/guard/index.ts',
  protocols: 'src/protocols/index.ts',
  otel: 'src/observe/otel.ts',
  fleet: 'src/backends/fleet.ts',
  redis: 'src/backends/redis.ts',
  sse: 'src/backends/sse.ts',
  testing: 'src/testing/index.ts',
  ...adapters,
};

const shared: Options = {
  format: ['esm', 'cjs'],
  target: 'es2022',
  platform: 'neutral',
  // Each file is whole in itself, but for the parts below: every further one costs a process time at import.
  splitting: false,
  tsconfig: 'tsconfig.node.json',
  // The runtime picks these files through the "imports" of package.json, so they must stay imports.
  external: ['#platform', '#transport', 'undici', /^node:/],
  noExternal: ['zod', '@noble/hashes', 'leven', 'lru-cache'],
  removeNodeProtocol: false,
  esbuildOptions: (options) => {
    // Of lru-cache, what runs everywhere: elsewhere it loads node:diagnostics_channel.
    options.conditions = ['browser'];
  },
};

const { metafile } = await esbuild.build({
  entryPoints: [INDEX],
  bundle: true,
  packages: 'external',
  external: ['#*'],
  format: 'esm',
  metafile: true,
  write: false,
});
/** In the order in which they run: what is alike stands close together, and compresses better. */
const inOrder = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs));
/** The files that `import 'keyverify'` loads, but the list of public names. */
const core = [...new Set([...inOrder, ...Object.keys(metafile.inputs)])].filter((path) => path !== INDEX);

/** All of them, in the place of the list. */
const wholeCore: esbuild.Plugin = {
  name: 'whole-core',
  setup: (build) => {
    build.onLoad({ filter: /[\\/]src[\\/]index\.ts$/ }, () => ({
      contents: core.map((path) => `export * from './${path.slice('src/'.length)}';`).join('\n'),
      loader: 'ts',
    }));
  },
};

/** The files that are not copied into each file that imports them, and where they are. */
const parts = new Map(core.map((path) => [resolve(path), 'core']));
parts.set(resolve(entry.fleet), 'fleet');

/** Imports them from `folder`, so that an error of a guard is one of `keyverify`, too. */
const importsParts = (folder: string): esbuild.Plugin => ({
  name: 'imports-parts',
  setup: (build) => {
    const extension = build.initialOptions.outExtension?.['.js'] ?? '.js';
    build.onResolve({ filter: /^\..*\.js$/ }, ({ path, resolveDir }) => {
      const part = parts.get(resolve(resolveDir, path.replace(/js$/, 'ts')));
      return part === undefined ? undefined : { path: `${folder}/${part}${extension}`, external: true };
    });
  },
});

export default defineConfig([
  { ...shared, entry: { core: INDEX }, esbuildPlugins: [wholeCore] },
  {
    ...shared,
    entry,
    esbuildPlugins: [importsParts('.')],
    dts: {
      entry,
      resolve: ['@standard-schema/spec'],
      // tsup sets baseUrl, which TypeScript 6 calls deprecated.
      compilerOptions: { ignoreDeprecations: '6.0' },
    },
  },
  ...[
    { outDir: 'dist/platform', source: 'src/platform', names: ['server', 'web', 'isolate'] },
    { outDir: 'dist/transport', source: 'src/transport/runtime', names: ['node', 'bun', 'deno'] },
    // These are bundled, so that each byte counts, and a copy costs more than an import.
    {
      outDir: 'dist/transport',
      source: 'src/transport/runtime',
      names: ['workerd', 'edge', 'web'],
      esbuildPlugins: [importsParts('..')],
    },
  ].map(({ source, names, ...options }) => ({
    ...shared,
    ...options,
    entry: names.map((name) => `${source}/${name}.ts`),
  })),
]);
