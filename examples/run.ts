/** `npm run example express`: runs an example service and its key server in one process. */
import { readdirSync } from 'node:fs';

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && !['run.ts', 'demo.ts'].includes(file))
  .map((file) => file.replace('.ts', ''));

const [name = ''] = process.argv.slice(2);
if (names.includes(name)) {
  const { PORT = '3000' } = process.env;
  const others: Readonly<Record<string, string>> = {
    grpc: "call /shop.Orders/List with the metadata 'authorization: Bearer sk-demo-1'",
    ws: `npx wscat -H 'x-api-key: sk-demo-1' -c ws://127.0.0.1:${PORT}`,
  };
  const curl = `curl -H 'Authorization: Bearer sk-demo-1' http://127.0.0.1:${PORT}/orders`;
  console.log(`The only valid key is sk-demo-1. To try it: ${others[name] ?? curl}`);
  await import(`./${name}.ts`);
} else {
  console.error(`npm run example <name>. The examples: ${names.join(', ')}`);
  process.exitCode = 1;
}
