/** A stranger's empty project: it installs what npm has, and verifies keys with it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Registry } from './registry.ts';
import { same } from './report.ts';
import { project } from './repository.ts';
import { folder, inside, run } from './shell.ts';

const script = (): string => `
import { createRequire } from 'node:module';
import { KeyVerifier, VERSION } from '${project.name}';
import { startKeyServer } from '${project.name}/testing';

const server = await startKeyServer({ keys: { 'key-of-acme': { client: 'acme', tenant: 'cust-A' } } });
const verifier = new KeyVerifier({ verifyUrl: server.verifyUrl, serviceToken: 'service-token' });
const good = await verifier.verify('key-of-acme');
const again = await verifier.verify('key-of-acme');
const made = await verifier.verify('made-up-key');
console.log(JSON.stringify({
  good: [good.valid, good.source, good.client],
  again: [again.valid, again.source],
  made: [made.valid, made.reason],
  userAgent: server.requests[0].headers['user-agent'],
  version: [VERSION, createRequire(import.meta.url)('${project.name}').VERSION],
}));
await verifier.close();
await server.close();
`;

export async function verifyWithPublished(registry: Registry, version: string): Promise<void> {
  const cwd = join(folder, 'consumer');
  mkdirSync(cwd);
  writeFileSync(join(cwd, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
  writeFileSync(join(cwd, 'verify.js'), script());
  await run(['npm', 'install', project.name], cwd, { ...inside, NPM_CONFIG_REGISTRY: registry.url });
  const said = JSON.parse(await run(['node', 'verify.js'], cwd)) as Record<string, unknown>;
  same(said['version'], [version, version], `import and require give ${version}`);
  same(said['good'], [true, 'server', 'acme'], 'a good key is verified by the server');
  same(said['again'], [true, 'cache'], 'and by the cache the second time');
  same(said['made'], [false, 'unknown_key'], 'a made-up key is rejected');
  same(said['userAgent'], `${project.name}/${version}`, `the server sees ${project.name}/${version}`);
}
