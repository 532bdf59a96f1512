import { build } from 'esbuild';

/** Bundles a launcher with the conditions of a runtime. Also returns the platform and transport modules that ended up in the bundle. */
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
    modules: inputs.flatMap((input) => /\/dist\/((?:platform|transport)\/\w+\.c?js)$/.exec(input)?.[1] ?? []).sort(),
  };
}
