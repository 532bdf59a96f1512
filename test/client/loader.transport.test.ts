import { expect, test, vi } from 'vitest';

import type { TransportOptions } from '../../src/transport/transport.js';
import { loaderOf } from '../helpers/loader.js';
import { FakeTransport } from '../helpers/transport.js';

const MESSAGE = 'keyverify: undici is not installed';

// As a runtime without the transport that fits it best.
vi.mock('#transport', async (importOriginal) => ({
  ...(await importOriginal<object>()),
  runtimeTransport({ warn }: TransportOptions) {
    warn?.(MESSAGE);
    return new FakeTransport();
  },
}));

test('a transport that stands in for a better one is logged', () => {
  const { warnings } = loaderOf({ transport: undefined });
  expect(warnings).toEqual([MESSAGE]);
});

test('a logger that throws keeps nobody from starting', () => {
  const warn = vi.fn(() => {
    throw new Error('the disk is full');
  });
  loaderOf({ transport: undefined, logger: { warn } });
  expect(warn).toHaveBeenCalledExactlyOnceWith(MESSAGE);
});
