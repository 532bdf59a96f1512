/** Child processes and a temporary folder. Both end with the rehearsal. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

export const folder = mkdtempSync(join(tmpdir(), 'rehearse-'));
const children = new Set<ChildProcess>();

/** Kills a child and its descendants: each child leads a process group. */
function end({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has exited by itself.
  }
}

process.on('exit', () => {
  children.forEach(end);
  // Many times faster than rmSync.
  spawnSync('rm', ['-rf', folder]);
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));

/** Starts with the Node that runs the rehearsal, and has no entry that npm added for this package. */
const path = [dirname(process.execPath), ...(process.env['PATH'] ?? '').split(delimiter)]
  .filter((entry, index) => index === 0 || !entry.includes('node_modules'))
  .join(delimiter);

/** The caller's environment, for commands that use the real npm registry. */
export const outside: NodeJS.ProcessEnv = Object.fromEntries(
  Object.entries({ ...process.env, PATH: path, HUSKY: '0' }).filter(([name]) => !name.startsWith('npm_')),
);

/** The environment of the rehearsed release. CI variables and configuration of the caller don't reach it. */
export const inside: NodeJS.ProcessEnv = {
  PATH: path,
  HOME: join(folder, 'home'),
  LANG: 'C.UTF-8',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'rehearsal',
  GIT_AUTHOR_EMAIL: 'rehearsal@example.com',
  GIT_COMMITTER_NAME: 'rehearsal',
  GIT_COMMITTER_EMAIL: 'rehearsal@example.com',
  NPM_CONFIG_AUDIT: 'false',
  NPM_CONFIG_FUND: 'false',
  NPM_CONFIG_UPDATE_NOTIFIER: 'false',
};

export interface Outcome {
  readonly ok: boolean;
  /** Everything it printed, and its stdout alone. */
  readonly output: string;
  readonly stdout: string;
}

/** Runs a command and resolves even if it fails. */
export async function attempt(command: readonly string[], cwd: string, env = inside): Promise<Outcome> {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  let [output, stdout] = ['', ''];
  child.stderr.setEncoding('utf8').on('data', (part: string) => (output += part));
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    output += part;
    stdout += part;
  });
  const timer = setTimeout(() => end(child), 300_000);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { ok: code === 0, output, stdout };
  } finally {
    clearTimeout(timer);
    children.delete(child);
  }
}

/** Runs a command that must succeed. Resolves to its stdout. */
export async function run(command: readonly string[], cwd: string, env = inside): Promise<string> {
  const { ok, output, stdout } = await attempt(command, cwd, env);
  if (!ok) throw new Error(`${command.join(' ')} failed:\n${output}`);
  return stdout.trim();
}
