/** npm's `version` script: copies the version of package.json to src/version.ts before the package is packed. */
import { readFileSync, writeFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const line = /(?<=^export const VERSION = ')[^']*(?=';$)/m;
const source = readFileSync('src/version.ts', 'utf8');
if (!line.test(source)) throw new Error('src/version.ts has no line "export const VERSION = \'...\';"');
writeFileSync('src/version.ts', source.replace(line, version));
