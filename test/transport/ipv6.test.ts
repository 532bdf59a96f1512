import os from 'node:os';

import { afterEach, expect, test, vi } from 'vitest';

import { hasIPv6 } from '../../src/transport/runtime/ipv6.js';

type Interfaces = ReturnType<typeof os.networkInterfaces>;

afterEach(() => {
  vi.restoreAllMocks();
});

const address = (family: 'IPv4' | 'IPv6', of: string) => ({ family, address: of }) as never;

test.each<[boolean, Interfaces]>([
  [false, {}],
  [false, { lo: [address('IPv4', '127.0.0.1')], eth0: undefined }],
  [true, { lo: [address('IPv4', '127.0.0.1'), address('IPv6', '::1')] }],
  [true, { lo: [address('IPv4', '127.0.0.1')], eth0: [address('IPv6', '2001:db8::1')] }],
])('%s: %j', (expected, interfaces) => {
  vi.spyOn(os, 'networkInterfaces').mockReturnValue(interfaces);
  expect(hasIPv6()).toBe(expected);
});

test('where this may not be found out, there may be some', () => {
  vi.spyOn(os, 'networkInterfaces').mockImplementation(() => {
    throw new Error('uv_interface_addresses returned Unknown system error 13');
  });
  expect(hasIPv6()).toBe(true);
});
