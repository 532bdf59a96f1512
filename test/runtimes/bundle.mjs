import { build } from 'esbuild';

/** Bundles a launcher as the runtime's own tools do, and tells which of the platform modules that took. */
export async function bundle(consumer, entry, options) {
  const { outputFiles, metafile } = await build({
    absWorkingDir: consumer,
    ...(entry !== undefined && { entryPoints: [entry] }),
    bundle: true,
    write: false,
    metafile: true,
    target: 'es2022',
    ...options,
  });
  const inputs = Object.keys(metafile.inputs);
  const [output] = Object.values(metafile.outputs);
  return {
    code: outputFiles[0].text,
    inputs,
    imports: output.imports.filter(({ external }) => external).map(({ path }) => path),
    platforms: inputs.flatMap((input) => /\/dist\/platform\/(\w+\.c?js)$/.exec(input)?.[1] ?? []),
  };
}
