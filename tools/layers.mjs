/**
 * The layers of src/, lowest first. A folder or top-level file imports from lower layers only, never from its own layer or
 * above. So there are no cycles, and the core, up to index.ts, can't import a guard, an adapter or the testing kit.
 */
export const LAYERS = [
  ['core', 'version.ts'],
  ['resilience'],
  ['platform', 'transport'],
  ['protocol'],
  ['fleet'],
  ['cache', 'observe', 'options'],
  ['client'],
  ['verifier.ts'],
  ['index.ts'],
  ['guard', 'protocols', 'backends'],
  ['adapters', 'testing'],
];

/** The files that may import `node:` modules. All others run without Node. */
const NODE = [
  'src/platform/{server,channels}.ts',
  'src/transport/runtime/{pool,dns-lookup}.ts',
  'src/guard/node.ts',
  'src/adapters/*.ts',
  'src/testing/**/*.ts',
];
const NODE_MODULES = { regex: '^node:', message: 'This file runs without Node.' };

/** An entry point of its own: without it, the package works where there is no OpenTelemetry. */
const OTEL = { regex: String.raw`/otel\.js$|^@opentelemetry/`, message: 'Only keyverify/otel needs OpenTelemetry.' };
const OTEL_FILES = ['src/observe/otel.ts', 'src/observe/otel-metrics.ts'];

/** What no file of `unit` may import: its own layer, apart from itself, and the layers above. */
function higherLayers(unit, rank) {
  const names = LAYERS.slice(rank)
    .flat()
    .filter((name) => name !== unit);
  const message = `${unit} is a lower layer: see tools/layers.mjs.`;
  const up = unit.endsWith('.ts') ? String.raw`\./` : String.raw`(?:\.\./)+`;
  const targets = names.map((name) => (name.endsWith('.ts') ? name.replace('.ts', String.raw`\.js$`) : `${name}/`));
  const patterns = [{ regex: `^${up}(?:${targets.join('|')})`, message }];
  const imports = ['platform', 'transport'].filter((name) => names.includes(name));
  if (imports.length > 0) patterns.push({ regex: `^#(?:${imports.join('|')})$`, message });
  return patterns;
}

/** The layers as ESLint configurations. */
export function layerRules() {
  const rules = (patterns) => ({ 'no-restricted-imports': ['error', { patterns }] });
  return LAYERS.flatMap((units, rank) =>
    units.flatMap((unit) => {
      const files = unit.endsWith('.ts') ? [`src/${unit}`] : [`src/${unit}/**/*.ts`];
      const patterns = higherLayers(unit, rank);
      return [
        { files, ignores: NODE, rules: rules([...patterns, OTEL, NODE_MODULES]) },
        { files: NODE.map((node) => [...files, node]), rules: rules([...patterns, OTEL]) },
        { files: OTEL_FILES.map((file) => [...files, file]), rules: rules([...patterns, NODE_MODULES]) },
      ];
    }),
  );
}
