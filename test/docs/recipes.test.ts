import { KeyVerifier, type KeyVerifierOptions } from 'keyverify';
import { startKeyServer } from 'keyverify/testing';
import ts from 'typescript';
import { expect, test } from 'vitest';

import { samples } from './pages.js';

interface Recipe {
  readonly crc32: (text: string) => number;
  readonly newKey: () => string;
  readonly options: Pick<KeyVerifierOptions, 'keyFormat' | 'controlKey'>;
}

/** The sample as a module of its own, in which a verifier is nothing but its options. */
async function load(code: string): Promise<Recipe> {
  const { outputText } = ts.transpileModule(code, { compilerOptions: { target: ts.ScriptTarget.ESNext } });
  const source = outputText.replace(
    /^import .*\n/m,
    'class KeyVerifier { constructor(options) { this.options = options; } verify() {} }\n',
  );
  const exported = `${source}\nexport const { options } = verifier;\nexport { crc32, newKey };`;
  return (await import(`data:text/javascript,${encodeURIComponent(exported)}`)) as Recipe;
}

test('a key format with a checksum keeps a flood of invented keys off the network', async () => {
  const { crc32, newKey, options } = await load(
    samples('docs/options.md', 'ts').find((code) => code.includes('crc32')) ?? '',
  );
  // The check value of CRC-32.
  expect(crc32('123456789')).toBe(0xcbf43926);
  expect(options.controlKey?.()).not.toBe(options.controlKey?.());

  const key = newKey();
  await using keyServer = await startKeyServer({ keys: { [key]: { client: 'acme', tenant: 'cust-A' } } });
  await using verifier = new KeyVerifier({ verifyUrl: keyServer.verifyUrl, serviceToken: 'service-token', ...options });
  const invented = Array.from({ length: 500 }, () => `${newKey().slice(0, 35)}${newKey().slice(35)}`);
  const typos = Array.from({ length: 35 }, (_, at) => `${key.slice(0, at)}-${key.slice(at + 1)}`);
  for (const wrong of [...invented, ...typos])
    expect(await verifier.verify(wrong)).toMatchObject({ reason: 'malformed_key', source: 'local' });
  expect(keyServer.requests).toHaveLength(0);

  expect(await verifier.verify(key)).toMatchObject({ valid: true, client: 'acme' });
  expect(await verifier.verify(newKey())).toMatchObject({ reason: 'unknown_key' });
});
