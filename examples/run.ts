/** `npm run example express`: runs an example service and its key server in one process. */
import { readdirSync } from 'node:fs';

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && !['run.ts', 'demo.ts'].includes(file))
  .map((file) => file.replace('.ts', ''));

const [name = ''] = process.argv.slice(2);
if (names.includes(name)) {
  await import(`./${name}.ts`);
} else {
  console.error(`npm run example <name>. The examples: ${names.join(', ')}`);
  process.exitCode = 1;
}
