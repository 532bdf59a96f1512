import { createHash } from 'node:crypto';

import { afterEach, expect, test, vi } from 'vitest';

import { toHex } from '../../src/core/fingerprint.js';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

test.each(['server', 'web', 'isolate', 'deno'])('on %s a fingerprint is the SHA-256 of the key', async (runtime) => {
  if (runtime === 'deno') vi.stubGlobal('Deno', {});
  const { sha256 } = await load(runtime);
  for (const key of ['sk-1', 'schlüssel', '鍵', 'x'.repeat(4_096)]) {
    expect(sha256(key)).toHaveLength(32);
    expect(toHex(sha256(key))).toBe(createHash('sha256').update(key).digest('hex'));
  }
});

async function load(runtime: string): Promise<{ sha256: (text: string) => string }> {
  if (runtime === 'web') return await import('../../src/platform/web.js');
  if (runtime === 'isolate') return await import('../../src/platform/isolate.js');
  return await import('../../src/platform/server.js');
}
