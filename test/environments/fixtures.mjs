/** What every environment does: verifies a key over HTTP, by the transport that is meant for it, without a warning. */
const BODY = `
  const server = await startKeyServer({ keys: { 'sk-1': { client: 'acme', tenant: 'cust-A' } } });
  const warnings = [];
  const verifier = new KeyVerifier({
    verifyUrl: server.verifyUrl,
    serviceToken: 'service-token',
    logger: { warn: (message) => warnings.push(String(message)) },
    ...OPTIONS,
  });
  try {
    const results = [await verifier.verify('sk-1'), await verifier.verify('sk-2')];
    const found = JSON.stringify([...results.map((r) => r.status + ' ' + (r.failure?.message ?? '')), ...warnings]);
    if (found !== '["verified ","rejected "]') throw new Error(found);
  } finally {
    await verifier.close();
    await server.close();
  }
`;

const IMPORTS = {
  cjs: "const { KeyVerifier } = require('keyverify');\nconst { startKeyServer } = require('keyverify/testing');",
  esm: "import { KeyVerifier } from 'keyverify';\nimport { startKeyServer } from 'keyverify/testing';",
};

const verify = (options = '{}') => `async () => {${BODY.replace('OPTIONS', options)}}`;

/** A program: ends with 0 if all is well. */
export const program = (kind) => `${IMPORTS[kind]}\n(${verify()})().then(() => console.log('verified'));\n`;

/** A test for Jest and vitest. `head` goes before it, `options` to the verifier. */
export const testFile = (kind, { head = '', options } = {}) =>
  `${head}${IMPORTS[kind]}\ntest('a key', ${verify(options)});\n`;

/** A test that only imports the package and builds a verifier. */
export const builds = () => `
const { KeyVerifier } = require('keyverify');
test('a verifier', () => {
  new KeyVerifier({ verifyUrl: 'https://keys.test/', serviceToken: 'service-token', dangerouslyAllowBrowser: true });
});
`;
