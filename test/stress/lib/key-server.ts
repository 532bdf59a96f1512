import { startKeyServer, type Fault } from 'keyverify/testing';

/** What the parent may tell a key server that runs in a process of its own. */
export type Order =
  | { readonly do: 'issue' | 'revoke'; readonly key: string }
  | { readonly do: 'misbehave'; readonly fault: Fault }
  | { readonly do: 'behave' | 'stop' | 'start' | 'count' | 'end' };

const [, , keys = '0', delayMs = '0'] = process.argv;
const RECORD = { client: 'acme', tenant: 'cust-A' };
const issued = Array.from({ length: Number(keys) }, (_, i) => `sk-good-${i}`);
const server = await startKeyServer({
  keys: Object.fromEntries(issued.map((key) => [key, RECORD])),
  delayMs: Number(delayMs),
});

async function obey(order: Order): Promise<void> {
  if (order.do === 'issue') server.issue(order.key, RECORD);
  else if (order.do === 'revoke') server.revoke(order.key);
  else if (order.do === 'misbehave') server.misbehave(order.fault);
  else if (order.do === 'behave') server.behave();
  else if (order.do === 'stop') await server.stop();
  else if (order.do === 'start') await server.start();
  else if (order.do === 'count') process.send?.(server.counts);
  else process.disconnect();
}

// Whoever started it may end without a word.
process.once('disconnect', () => void server.close());
process.on('message', (order: Order) => void obey(order));
process.send?.(server.verifyUrl);
