/** npm's `version` script: puts the version of package.json into src/version.ts, between the bump and the pack. */
import { readFileSync, writeFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const line = /(?<=^export const VERSION = ')[^']*(?=';$)/m;
const source = readFileSync('src/version.ts', 'utf8');
if (!line.test(source)) throw new Error('src/version.ts has no line "export const VERSION = \'...\';"');
writeFileSync('src/version.ts', source.replace(line, version));
