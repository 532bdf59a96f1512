import { given } from '../lib/child.mjs';

/** From the first import in a fresh process to the first verdict. */
const { module, verifyUrl, unkeyUrl } = given();
const start = performance.now();
const imported = await import(module);
if (verifyUrl !== undefined) {
  const verifier = new imported.KeyVerifier({ verifyUrl, serviceToken: 'service-token' });
  await verifier.verify('sk-nobody');
} else {
  const unkey = new imported.Unkey({ rootKey: 'unkey_root', serverURL: unkeyUrl });
  await unkey.keys.verifyKey({ key: 'sk-nobody' });
}
process.send({ verdictMs: performance.now() - start });
process.exit();
