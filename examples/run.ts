/** `npm run example express`: a guarded service with a key server in the same process, until it is stopped. */
import { readdirSync } from 'node:fs';

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && !['run.ts', 'demo.ts'].includes(file))
  .map((file) => file.replace('.ts', ''));

const [name = ''] = process.argv.slice(2);
if (names.includes(name)) {
  await import(`./${name}.ts`);
} else {
  console.error(`npm run example <name>, where <name> is one of ${names.join(', ')}`);
  process.exitCode = 1;
}
