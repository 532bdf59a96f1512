import { given } from '../lib/child.mjs';

/** One import in a fresh process, then the first verdict where the package asks a server. */
const { module, verifyUrl, unkeyUrl } = given();
const start = performance.now();
const imported = await import(module);
const importMs = performance.now() - start;
let verdictMs;
if (verifyUrl !== undefined) {
  const verifier = new imported.KeyVerifier({ verifyUrl, serviceToken: 'service-token' });
  await verifier.verify('sk-nobody');
  verdictMs = performance.now() - start;
} else if (unkeyUrl !== undefined) {
  const unkey = new imported.Unkey({ rootKey: 'unkey_root', serverURL: unkeyUrl });
  await unkey.keys.verifyKey({ key: 'sk-nobody' });
  verdictMs = performance.now() - start;
}
process.send({ importMs, verdictMs });
process.exit();
