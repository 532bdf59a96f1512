import { KeyVerifier } from '../dist/index.js';
import { defineProtocol } from '../dist/protocols.js';
import { TOKEN, instantTransport, keyOf } from './lib/keys.mjs';
import { median, quantile } from './lib/paired.mjs';

/**
 * What a miss and a hit by a definition of the default contract cost, against the default contract itself. Without a
 * network, which would hide the difference; in pairs, so that a busy machine changes little. Fails past the limit.
 */
const LIMITS = { miss: 1.05, hit: 1.05 };
const CALLS = 1_000;
const WARM_UP = 20;
const ROUNDS = 100;

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

/** Processor time, and not time: a busy machine takes turns of a length that would drown the difference. */
async function cpuNs(run) {
  const before = process.cpuUsage();
  await run(CALLS);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / CALLS;
}

async function ratios(source, keyOfTurn) {
  const found = [];
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? ['default', 'defined'] : ['defined', 'default'];
    const ns = {};
    for (const name of order) ns[name] = await cpuNs(ask(verifiers[name], source, keyOfTurn));
    if (round >= 0) found.push(ns.defined / ns.default);
  }
  return found;
}

const measured = { hit: await ratios('cache', () => HIT), miss: await ratios('server', () => keyOf(turn++)) };
for (const [what, found] of Object.entries(measured)) {
  const value = median(found);
  const ok = value <= LIMITS[what];
  const range = `${quantile(found, 0.25).toFixed(2)} to ${quantile(found, 0.75).toFixed(2)}`;
  console.log(
    `${ok ? 'ok' : 'TOO MUCH'}: a ${what} by a definition takes ${value.toFixed(3)} of one by the default (${range}), limit ${LIMITS[what]}`,
  );
  if (!ok) process.exitCode = 1;
}
