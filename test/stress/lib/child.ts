import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const CONFIG = fileURLToPath(new URL('../../../tsconfig.node.json', import.meta.url));

/** Runs a TypeScript module in a process of its own. */
export function start(module: URL, args: readonly string[] = [], nodeOptions: readonly string[] = []): ChildProcess {
  return fork(module, args, {
    execArgv: ['--import', 'tsx', ...nodeOptions],
    env: { ...process.env, TSX_TSCONFIG_PATH: CONFIG },
    serialization: 'advanced',
  });
}

/** The exit code; `undefined` if the child was killed because it didn't exit within `ms`. */
export async function ended(child: ChildProcess, ms: number): Promise<number | undefined> {
  if (child.exitCode !== null) return child.exitCode;
  const exit = once(child, 'exit') as Promise<[number | null]>;
  const timer = setTimeout(() => child.kill('SIGKILL'), ms);
  const [code] = await exit;
  clearTimeout(timer);
  return code ?? undefined;
}
