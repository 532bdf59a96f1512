import { spawn } from 'node:child_process';

const LONGEST_MS = 240_000;

/** Runs a command to its end, and rejects with what it said unless that is 0. A hang is a failure. */
export async function run([command, ...args], cwd) {
  const env = { ...process.env, CI: 'true', NODE_OPTIONS: '' };
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: LONGEST_MS });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk) => (stderr += chunk));
  const end = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  if (end === 0) return { stdout };
  throw new Error(`${[command, ...args].join(' ').slice(0, 200)} ended with ${end}\n${(stdout + stderr).slice(-3000)}`);
}
