/**
 * `npm run check`: what must hold before a change lands. `npm run check -- lint types` runs single checks, `-- --all` the slow
 * ones too. The last line counts what passed: each test, and each of the other checks.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

interface Check {
  readonly command: string;
  readonly about: string;
  /** Takes minutes, or installs what `npm ci` doesn't. */
  readonly slow?: boolean;
}

const REPORT = 'reports/tests.json';
const inRehearsal = (script: string): string =>
  `cd tools/rehearse && npm ci --loglevel=error && npm run --silent ${script}`;

/** The list of checks. */
export const CHECKS: Readonly<Record<string, Check>> = {
  lint: { command: 'npm run lint', about: 'ESLint with type information' },
  format: { command: 'npx prettier --check .', about: 'Prettier' },
  types: { command: 'npm run typecheck', about: 'the core without the types of Node, then everything with them' },
  deadcode: { command: 'npx knip', about: 'unused files, exports and dependencies' },
  tests: {
    command: `KEYVERIFY_FUZZ_RUNS=50000 npm test -- --coverage --reporter=default --reporter=json --outputFile.json=${REPORT}`,
    about: 'all tests, type tests included; they must cover every line and branch of `src`',
  },
  build: { command: 'npm run build', about: 'the package, ESM and CJS, with types' },
  allocations: { command: 'npm run bench:guard', about: 'the bytes that a hit, a guarded request and a miss allocate' },
  package: {
    command: 'node tools/check-exports.mjs && npx publint --strict && npx attw --pack . --profile node16',
    about: 'entry points against built files, publint, are-the-types-wrong',
  },
  demo: { command: 'npm run demo', about: 'the demo, against the embedded key server', slow: true },
  peers: {
    command:
      'npm ci --prefix bench --ignore-scripts --loglevel=error && KEYVERIFY_PEERS=1 npx vitest run test/protocols/better-auth.test.ts',
    about: 'the recipe for better-auth, against better-auth',
    slow: true,
  },
  chaos: { command: 'npm run chaos -- --seconds 15 --seed 265380', about: 'the chaos test, for 15 s', slow: true },
  'chaos-fleet': {
    command: 'npm run stress chaos-fleet -- --seconds 15 --seed 1',
    about: 'the chaos test with a fleet and a Redis, for 15 s',
    slow: true,
  },
  rules: {
    command:
      'cd docs/operations && promtool check rules keyverify.rules.yml && promtool test rules keyverify.rules.test.yml',
    about: 'the alerts, by promtool of the Debian package `prometheus`',
    slow: true,
  },
  workflows: { command: inRehearsal('lint:workflows'), about: 'actionlint on the workflows', slow: true },
  release: { command: 'npm run rehearse', about: 'a release on loopback, from commit to install', slow: true },
  environments: {
    command: 'npm run test:environments',
    about: 'the packed package with every package manager and test runner',
    slow: true,
  },
  runtimes: { command: 'npm run test:runtimes', about: 'the packed package on every runtime', slow: true },
};

function select(args: readonly string[]): readonly string[] {
  const names = Object.keys(CHECKS);
  if (args.includes('--all')) return names;
  const unknown = args.filter((name) => !Object.hasOwn(CHECKS, name));
  if (unknown.length > 0) throw new Error(`unknown check: ${unknown.join(', ')}. Checks: ${names.join(', ')}`);
  return args.length > 0 ? args : names.filter((name) => CHECKS[name]?.slow !== true);
}

function passes(name: string): boolean {
  console.log(`\n== ${name}`);
  const { status } = spawnSync(CHECKS[name]?.command ?? 'false', {
    shell: true,
    stdio: 'inherit',
    env: { ...process.env, CI: 'true' },
  });
  return status === 0;
}

/** As far as it is read here. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** The single tests of this run; none if it didn't get that far. */
function readTests(): { readonly passed: number; readonly failed: number; readonly failures: readonly string[] } {
  try {
    const report = JSON.parse(readFileSync(REPORT, 'utf8')) as Report;
    const failures = report.testResults.flatMap(({ assertionResults }) =>
      assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName),
    );
    return { passed: report.numPassedTests, failed: report.numFailedTests, failures };
  } catch {
    return { passed: 0, failed: 0, failures: [] };
  }
}

function main(args: readonly string[]): void {
  const names = select(args);
  rmSync(REPORT, { force: true });
  const failures = names.filter((name) => !passes(name));
  const tests = readTests();
  // Once more, since thousands of lines of the slow checks lie between.
  for (const name of tests.failures) console.log(`\nfailed test: ${name}`);
  if (failures.length > 0) console.log(`\nfailed: ${failures.join(', ')}`);
  console.log(`\n${names.length - failures.length + tests.passed} passed, ${failures.length + tests.failed} failed`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
