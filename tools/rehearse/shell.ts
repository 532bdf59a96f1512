/** Child processes and a temporary folder, none of which outlives the rehearsal. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

export const folder = mkdtempSync(join(tmpdir(), 'rehearse-'));
const children = new Set<ChildProcess>();

/** Ends a child and what it started: each child leads a process group. */
function end({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

process.on('exit', () => {
  children.forEach(end);
  // Many times faster than rmSync.
  spawnSync('rm', ['-rf', folder]);
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));

/** The Node that runs the rehearsal first, and nothing that npm put there for this package. */
const path = [dirname(process.execPath), ...(process.env['PATH'] ?? '').split(delimiter)]
  .filter((entry, index) => index === 0 || !entry.includes('node_modules'))
  .join(delimiter);

/** The caller's own environment: for what needs the outer npm registry. */
export const outside: NodeJS.ProcessEnv = Object.fromEntries(
  Object.entries({ ...process.env, PATH: path, HUSKY: '0' }).filter(([name]) => !name.startsWith('npm_')),
);

/** Only what is named here: neither the caller's CI variables nor his configuration reach the rehearsed release. */
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
  /** What it printed, and what of that went to stdout. */
  readonly output: string;
  readonly stdout: string;
}

/** Runs a command to its end, however it ends. */
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

/** Runs a command that has to succeed, and gives what it printed. */
export async function run(command: readonly string[], cwd: string, env = inside): Promise<string> {
  const { ok, output, stdout } = await attempt(command, cwd, env);
  if (!ok) throw new Error(`${command.join(' ')} failed:\n${output}`);
  return stdout.trim();
}
