import { expect, test } from 'vitest';

import { decodeResponse } from '../../src/protocol/decode.js';
import { defaultProtocol } from '../../src/protocol/default.js';
import type { WireResponse } from '../../src/transport/transport.js';
import { Chance } from '../helpers/chance.js';
import { formsOf, hostileResponse, hostileVerdict, readableJson, texts } from '../helpers/hostile.js';

/** With the presets' fuzz test, `KEYVERIFY_FUZZ_RUNS=50000` makes 100 000. */
const RUNS = Number(process.env['KEYVERIFY_FUZZ_RUNS'] ?? 10_000);
const SEED = Number(process.env['KEYVERIFY_FUZZ_SEED'] ?? Date.now() % 2 ** 31);

const NOW = Date.parse('2026-01-01T00:00:00Z');
const TOKEN = 'service-token-0123456789';
const KEYS = ['sk-good-0123456789abcdef', 'sk/"odd" \\ key+&%=!~\u{1f511}é'];

/** Whether these bytes may verify a key at all, found out without any of the code that is tested. */
function mayVerify(given: WireResponse): boolean {
  const json = readableJson(given, 200);
  if (json === undefined) return false;
  const own = new Map<string, unknown>(Object.entries(json));
  const isName = (it: unknown): boolean => typeof it === 'string' && it.length > 0;
  const keyId = own.get('key_id') ?? undefined;
  const end = own.get('expires_at') ?? undefined;
  const endsAt = typeof end === 'number' ? end * 1_000 : typeof end === 'string' ? Date.parse(end) : NaN;
  return (
    own.get('valid') === true &&
    isName(own.get('client')) &&
    isName(own.get('tenant')) &&
    (keyId === undefined || isName(keyId)) &&
    (end === undefined || (Number.isFinite(endsAt) && endsAt > NOW))
  );
}

test(
  `${RUNS} random and mutated responses are decoded without a throw, a wrong valid or a secret`,
  { timeout: 60_000 + RUNS },
  () => {
    const tally = { verified: 0, rejected: 0, failed: 0 };
    for (let run = 0; run < RUNS; run++) {
      const chance = new Chance(SEED + run);
      const key = chance.of(KEYS);
      const secrets = [key, TOKEN];
      const given = hostileResponse(chance, secrets, hostileVerdict);
      const which = (): string =>
        `KEYVERIFY_FUZZ_SEED=${SEED + run} KEYVERIFY_FUZZ_RUNS=1, status ${given.status}: ${Buffer.from(given.body).toString().slice(0, 500)}`;
      let decoded: ReturnType<typeof decodeResponse>;
      try {
        decoded = decodeResponse(defaultProtocol, given, { secrets, askedAt: NOW, scope: undefined });
      } catch (error) {
        throw new Error(`it threw, ${which()}`, { cause: error });
      }
      const forms = secrets.flatMap(formsOf);
      for (const text of texts(decoded))
        if (forms.some((form) => text.includes(form)))
          expect.fail(`a secret is in ${JSON.stringify(text)}, ${which()}`);
      if ('failure' in decoded) {
        tally.failed++;
        continue;
      }
      tally[decoded.kind]++;
      if (decoded.kind === 'verified' && !mayVerify(given)) expect.fail(`a wrong valid, ${which()}`);
      const { maxAgeMs } = decoded.freshness;
      if (!(maxAgeMs >= 0)) expect.fail(`it may be kept for ${maxAgeMs} ms, ${which()}`);
      if ('polluted' in {} || Object.keys(Object.prototype).length > 0)
        expect.fail(`a prototype was changed, ${which()}`);
    }
    // Far from all of one kind: otherwise nothing would have been tried.
    if (RUNS >= 1_000)
      for (const count of [tally.verified, tally.rejected, tally.failed]) expect(count).toBeGreaterThan(RUNS / 20);
  },
);
