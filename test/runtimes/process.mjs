import { spawn } from 'node:child_process';

const LONGEST_MS = 120_000;

/** Runs a command to its end. A hang is a failure. */
export async function run(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: LONGEST_MS, ...options });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk) => (stderr += chunk));
  const end = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  if (end === 0) return stdout;
  throw new Error(`${command} ${args.join(' ').slice(0, 200)} ended with ${end}\n${(stdout + stderr).slice(-4000)}`);
}
