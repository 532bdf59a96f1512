import { fork } from 'node:child_process';
import { once } from 'node:events';

/** Starts a module in a process of its own and waits for its first message. */
export async function child(module, options = {}, execArgv = []) {
  const process_ = fork(new URL(`../${module}`, import.meta.url), [JSON.stringify(options)], { execArgv });
  const ended = once(process_, 'exit');
  const [message] = await Promise.race([
    once(process_, 'message'),
    ended.then(([code]) => {
      throw new Error(`${module} ended with code ${code} before it sent a message`);
    }),
  ]);
  return {
    message,
    ended,
    async ask(question) {
      process_.send(question);
      const [answer] = await once(process_, 'message');
      return answer;
    },
    async stop() {
      if (process_.exitCode !== null || process_.signalCode !== null) return;
      process_.kill('SIGKILL');
      await ended;
    },
  };
}

/** The options a child was started with. The child ends when its parent does. */
export function given() {
  process.once('disconnect', () => process.exit());
  return JSON.parse(process.argv[2] ?? '{}');
}
