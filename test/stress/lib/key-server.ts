import { startKeyServer, type Fault } from 'keyverify/testing';

/** A message from the parent process to the key server process. */
export type Command =
  | { readonly do: 'issue' | 'revoke'; readonly key: string }
  | { readonly do: 'injectFault'; readonly fault: Fault }
  | { readonly do: 'clearFaults' | 'stop' | 'start' | 'count' | 'end' };

const [, , keys = '0', delayMs = '0'] = process.argv;
const RECORD = { client: 'acme', tenant: 'cust-A' };
const issued = Array.from({ length: Number(keys) }, (_, i) => `sk-good-${i}`);
const server = await startKeyServer({
  keys: Object.fromEntries(issued.map((key) => [key, RECORD])),
  delayMs: Number(delayMs),
});

async function run(command: Command): Promise<void> {
  if (command.do === 'issue') server.issue(command.key, RECORD);
  else if (command.do === 'revoke') server.revoke(command.key);
  else if (command.do === 'injectFault') server.injectFault(command.fault);
  else if (command.do === 'clearFaults') server.clearFaults();
  else if (command.do === 'stop') await server.stop();
  else if (command.do === 'start') await server.start();
  else if (command.do === 'count') process.send?.(server.counts);
  else process.disconnect();
}

// The parent may exit without a message.
process.once('disconnect', () => void server.close());
process.on('message', (command: Command) => void run(command));
process.send?.(server.verifyUrl);
