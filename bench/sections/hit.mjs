import { generateKeyPairSync, hash } from 'node:crypto';

import { createSigner, createVerifier } from 'fast-jwt';
import { SignJWT, jwtVerify } from 'jose';

import { KeyVerifier } from '../../dist/index.js';
import { betterAuth } from '../lib/better-auth.mjs';
import { handwritten } from '../lib/handwritten.mjs';
import { TOKEN, instantTransport, keyOf, recordOf } from '../lib/keys.mjs';
import { paired } from '../lib/paired.mjs';

const KEYS = 4096;
const keys = Array.from({ length: KEYS }, (_, i) => keyOf(i));
const numbers = new Map(keys.map((key, i) => [key, i]));

const verifyUrl = 'http://127.0.0.1:1/';
const verifier = new KeyVerifier({
  verifyUrl,
  serviceToken: TOKEN,
  transport: instantTransport((key) => numbers.get(key)),
});
const byHand = handwritten({ verifyUrl });
const floor = new Map();
const hexFloor = new Map();
for (const key of keys) {
  const result = await verifier.verify(key);
  if (!result.valid) throw result.failure;
  floor.set(hash('sha256', key, 'binary'), result);
  hexFloor.set(hash('sha256', key, 'hex'), result);
  byHand.cache.set(hash('sha256', key, 'hex'), result);
}

const secret = 'a secret of 32 characters or more';
const hs256 = keys.map((_, i) => createSigner({ key: secret, expiresIn: 600_000 })(recordOf(i)));
const cached = { cache: KEYS, cacheTTL: 600_000 };
const fastJwt = createVerifier({ key: secret, ...cached });
const fastJwtAsync = createVerifier({ key: async () => secret, ...cached });
const symmetric = new TextEncoder().encode(secret);
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const es256 = await Promise.all(
  keys.slice(0, 256).map(async (_, i) => {
    const token = new SignJWT(recordOf(i)).setProtectedHeader({ alg: 'ES256' }).setExpirationTime('10m');
    return await token.sign(privateKey);
  }),
);

let calls = 0;
const next = (all) => all[calls++ % all.length];
const each = (all, once) => async (count) => {
  for (let i = 0; i < count; i++) if ((await once(next(all))) === undefined) throw new Error('no answer');
};
const eachSync = (all, once) => (count) => {
  for (let i = 0; i < count; i++) if (once(next(all)) === undefined) throw new Error('no answer');
};

const samples = await paired(
  {
    'floor: crypto.hash + Map.get, async': { run: each(keys, async (key) => floor.get(hash('sha256', key, 'binary'))) },
    'keyverify: await verify()': { run: each(keys, (key) => verifier.verify(key)) },
    'floor: crypto.hash + Map.get, sync': { run: eachSync(keys, (key) => floor.get(hash('sha256', key, 'binary'))) },
    'floor with hexadecimal digits, sync': { run: eachSync(keys, (key) => hexFloor.get(hash('sha256', key, 'hex'))) },
    'floor and Date.now(), sync': {
      run: eachSync(keys, (key) => (Date.now() > 0 ? floor.get(hash('sha256', key, 'binary')) : undefined)),
    },
    'keyverify: peek()': { run: eachSync(keys, (key) => verifier.peek(key)) },
    'keyverify: verifyCached()': { run: eachSync(keys, (key) => verifier.verifyCached(key)) },
    'by hand: lru-cache + createHash': { run: each(keys, (key) => byHand.verify(key)) },
    'fast-jwt, cached HS256, sync': { run: eachSync(hs256, (token) => fastJwt(token)) },
    'fast-jwt, cached HS256, async': { run: each(hs256, (token) => fastJwtAsync(token)) },
  },
  { rounds: 600, calls: 256, warmUp: 200 },
);
// Measured apart: they are hundreds of times slower, and would only cool the processor's caches for the others.
const jose = await paired(
  {
    'jose, HS256': { run: each(hs256, (token) => jwtVerify(token, symmetric)), calls: 32 },
    'jose, ES256': { run: each(es256, (token) => jwtVerify(token, publicKey)), calls: 16 },
  },
  { rounds: 60, warmUp: 10 },
);
// Measured last: it enables an AsyncLocalStorage, which slows down every promise of the process from then on.
const auth = await betterAuth();
const verifyWithBetterAuth = async (key) => {
  const { valid, error } = await auth.verify(key);
  if (!valid) throw new Error(error?.message);
  return valid;
};
const database = await paired(
  { 'better-auth, API key in memory': { run: each(auth.keys, verifyWithBetterAuth), calls: 4 } },
  { rounds: 60, warmUp: 10 },
);
process.send({ keys: KEYS, samples: { ...samples, ...jose, ...database } });
process.exit();
