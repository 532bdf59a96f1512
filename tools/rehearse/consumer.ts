/** An empty project that installs the published package and verifies keys with it. */
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
const unknown = await verifier.verify('unknown-key');
console.log(JSON.stringify({
  good: [good.valid, good.source, good.client],
  again: [again.valid, again.source],
  unknown: [unknown.valid, unknown.reason],
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
  const report = JSON.parse(await run(['node', 'verify.js'], cwd)) as Record<string, unknown>;
  same(report['version'], [version, version], `import and require give ${version}`);
  same(report['good'], [true, 'server', 'acme'], 'a valid key is verified by the server');
  same(report['again'], [true, 'cache'], 'the second time it is a cache hit');
  same(report['unknown'], [false, 'unknown_key'], 'an unknown key is rejected');
  same(report['userAgent'], `${project.name}/${version}`, `the server sees ${project.name}/${version}`);
}
