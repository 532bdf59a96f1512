import { afterEach, describe, expect, test, vi } from 'vitest';

import { urlIssue } from '../../src/options/verify-url.js';
import { issues } from '../helpers/options.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('the URL of the key server', () => {
  const insecure = (verifyUrl: string): string =>
    `verifyUrl: expected https: for ${new URL(verifyUrl).hostname}, since http: is not encrypted; or pass allowInsecureHttp: true`;
  const ABSOLUTE = 'expected a URL with https:// or http://, such as https://keys.example.com/verify';

  test.each([
    'https://admin.test/verify',
    'http://localhost:1',
    'http://127.0.0.1:8080/v',
    'http://127.255.0.12',
    'http://[::1]:1/v',
    'HTTP://LOCALHOST',
  ])('may be %s', (verifyUrl) => {
    expect(issues({ verifyUrl })).toEqual([]);
  });

  test.each([
    'http://admin.test/hunter2?key=hunter2',
    'http://localhost.test',
    // The resolver decides what is in front of localhost.
    'http://api.localhost/v',
    'http://notlocalhost',
    'http://128.0.0.1',
    'http://127.0.0.1.test',
    'http://a127.0.0.1.test',
    'http://[::2]',
    'http://.localhost.x',
  ])('may be http: to another machine only where that is allowed: %s', (verifyUrl) => {
    expect(issues({ verifyUrl })).toEqual([insecure(verifyUrl)]);
    expect(issues({ verifyUrl, allowInsecureHttp: false })).toEqual([insecure(verifyUrl)]);
    expect(issues({ verifyUrl, allowInsecureHttp: true })).toEqual([]);
  });

  test('is not an empty string', () => {
    expect(urlIssue('', true)).toBe(`${ABSOLUTE}, got an empty string; pass it, or set KEYVERIFY_URL`);
  });

  test.each(['/internal/verify-key', 'admin.test/verify', 'https://', 7, {}])('is none: %j', (verifyUrl) => {
    expect(urlIssue(verifyUrl, true)).toBe(ABSOLUTE);
  });

  test('may be missing where the environment has it', () => {
    expect(urlIssue(undefined, true)).toContain('got undefined');
    for (const verifyUrl of [null, undefined]) expect(String(issues({ verifyUrl }))).toContain('got undefined');
    vi.stubEnv('KEYVERIFY_URL', 'https://env.test');
    expect(issues({ verifyUrl: null })).toEqual([]);
  });

  test.each([
    ['ftp://admin.test', ABSOLUTE],
    ['localhost:8080', ABSOLUTE],
    // It may be a token in the wrong place.
    ['sk-1:hunter2', ABSOLUTE],
    ['https://user@admin.test', 'expected no credentials, which belong in serviceToken'],
    ['https://:password@admin.test', 'expected no credentials, which belong in serviceToken'],
    ['https://admin.test/v#part', 'expected no fragment'],
  ])('is wrong: %s', (verifyUrl, mistake) => {
    expect(issues({ verifyUrl })).toEqual([`verifyUrl: ${mistake}`]);
  });

  test('is refused as an object, too, without quoting its password', () => {
    const refused = String(issues({ verifyUrl: new URL('https://user:hunter2@admin.test') }));
    expect(refused).toContain('credentials');
    expect(refused).not.toContain('hunter2');
  });
});
