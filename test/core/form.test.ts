import { expect, test } from 'vitest';

import { formEncode } from '../../src/core/form.js';

test('each character of ASCII is encoded as in a form', () => {
  for (let code = 0; code < 0x80; code++) {
    const text = `a${String.fromCharCode(code)}`;
    expect([text, formEncode(text)]).toEqual([text, new URLSearchParams({ a: text }).toString().slice('a='.length)]);
  }
});

test('so are the others', () => {
  for (const text of ['', 'é', '€', '🔑', 'sk-live_0.9*Z'])
    expect(formEncode(text)).toBe(new URLSearchParams({ a: text }).toString().slice('a='.length));
});
