import { readFile } from 'node:fs/promises';

/** The installed version of a package: of bench/ if it is there, else of the root. */
async function versionOf(name) {
  for (const folder of ['..', '../..']) {
    const file = new URL(`${folder}/node_modules/${name}/package.json`, import.meta.url);
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== undefined) return JSON.parse(text).version;
  }
  throw new Error(`${name} is not installed`);
}

/** `name version`; a name of our own, without one. A subpath has the version of its package. */
export async function label(name) {
  if (name.startsWith('keyverify')) return name;
  const [first, second] = name.split('/');
  return `${name} ${await versionOf(name.startsWith('@') ? `${first}/${second}` : first)}`;
}
