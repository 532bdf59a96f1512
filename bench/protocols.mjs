import { KeyVerifier } from '../dist/index.js';
import { defineProtocol } from '../dist/protocols.js';
import { TOKEN, instantTransport, keyOf } from './lib/keys.mjs';
import { paired, ratio } from './lib/paired.mjs';

/**
 * What a miss and a hit by a definition of the default contract cost, against the default contract itself. Without a
 * network, which would hide the difference; in pairs, so that a busy machine changes little. Fails past the limit.
 */
const LIMITS = { miss: 1.05, hit: 1.05 };

const protocol = defineProtocol({
  scope: { name: 'scope' },
  verdict: {
    flag: 'valid',
    client: 'client',
    tenant: 'tenant',
    keyId: 'key_id',
    expires: { at: 'expires_at', unit: 'iso-or-s' },
    reason: 'reason',
  },
});
const options = {
  verifyUrl: 'http://127.0.0.1:1/',
  serviceToken: TOKEN,
  scope: 'customer',
  transport: instantTransport(() => 0),
  maxEntries: 1_000,
  logger: false,
};
const verifiers = { default: new KeyVerifier(options), defined: new KeyVerifier({ ...options, protocol }) };

let turn = 0;
const HIT = keyOf(-1);
const ask = (verifier, source, keyOfTurn) => async (calls) => {
  for (let call = 0; call < calls; call++) {
    const result = await verifier.verify(keyOfTurn());
    if (result.source !== source) throw new Error(`${result.status} by ${result.source}`);
  }
};
for (const verifier of Object.values(verifiers)) await verifier.verify(HIT);

const byName = (run) => Object.fromEntries(Object.entries(verifiers).map(([name, verifier]) => [name, run(verifier)]));
const measured = {
  hit: await paired(byName((verifier) => ({ run: ask(verifier, 'cache', () => HIT), calls: 5_000 }))),
  miss: await paired(byName((verifier) => ({ run: ask(verifier, 'server', () => keyOf(turn++)) }))),
};
for (const [what, { default: byDefault, defined }] of Object.entries(measured)) {
  const { value, low, high } = ratio(defined, byDefault);
  const ok = value <= LIMITS[what];
  const range = `${low.toFixed(2)} to ${high.toFixed(2)}`;
  console.log(
    `${ok ? 'ok' : 'TOO MUCH'}: a ${what} by a definition takes ${value.toFixed(3)} of one by the default (${range}), limit ${LIMITS[what]}`,
  );
  if (!ok) process.exitCode = 1;
}
