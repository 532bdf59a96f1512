import { expect, test } from 'vitest';

import { Identities } from '../../src/guard/identities.js';

const admitted = { allowed: true, identity: 'acme' } as const;

test('an identity is that of the very request that was admitted', () => {
  const identities = new Identities<string | null>();
  const [request, optional] = [{}, {}];
  identities.admit(request, admitted);
  identities.admit(optional, { allowed: true, identity: null });
  expect([identities.get(request), identities.of(request)]).toEqual(['acme', 'acme']);
  expect([identities.get(optional), identities.of(optional)]).toEqual([null, null]);
  for (const other of [{}, { identity: 'acme' }, Object.create(request) as object]) {
    expect(identities.get(other)).toBeUndefined();
    expect(() => identities.of(other)).toThrow(Error);
  }
});

test('an identity that is not there is an error that says what to do', () => {
  const identities = new Identities();
  expect(() => identities.of({})).toThrow(
    new Error(
      'keyverify: this guard has not admitted this request: ' +
        'run it before the handler, or call identityOf() of the guard that ran',
    ),
  );
  expect(() => identities.of({}, 'no guard has admitted this request')).toThrow(
    new Error('keyverify: no guard has admitted this request'),
  );
});

test('an identity of another guard is none of this one', () => {
  const [one, other] = [new Identities<string>(), new Identities<string>()];
  const request = {};
  one.admit(request, admitted);
  expect(() => other.of(request)).toThrow(Error);
});
