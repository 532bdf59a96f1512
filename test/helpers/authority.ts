import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

/** A private key and what vouches for it, both as PEM. */
export interface Identity {
  readonly key: string;
  readonly cert: string;
}

/** Just enough DER for certificates: keys in the repository would expire and alarm scanners, and not every machine has openssl. */
const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  const length = content.length < 128 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
};
const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
const pem = (label: string, bytes: Buffer): string =>
  `-----BEGIN ${label}-----\n${bytes.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`;
const time = (ms: number): Buffer =>
  der(0x18, Buffer.from(`${new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`));

const ECDSA_SHA256 = sequence(hex('06082a8648ce3d040302'));
const COMMON_NAME = hex('0603550403');
const ALT_NAME = hex('0603551d11');
const IS_AUTHORITY = sequence(hex('0603551d13'), hex('0101ff'), der(0x04, sequence(hex('0101ff'))));
const DAY_MS = 86_400_000;

const named = (name: string): Buffer => sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from(name)))));

/** `IP:127.0.0.1` or `DNS:localhost`, as the extension that names hosts. */
function altNames(hosts: readonly string[]): Buffer {
  const names = hosts.map((host) => {
    const [kind, name = ''] = host.split(':');
    return kind === 'IP' ? der(0x87, Buffer.from(name.split('.').map(Number))) : der(0x82, Buffer.from(name));
  });
  return sequence(ALT_NAME, der(0x04, sequence(...names)));
}

/** A certificate authority that is made on the fly, and vouches for itself. */
export class Authority {
  readonly identity: Identity;
  readonly #name: Buffer;
  readonly #key: KeyObject;

  constructor(name = 'ca', hosts: readonly string[] = []) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#name = named(name);
    this.#key = privateKey;
    const extensions = hosts.length === 0 ? [IS_AUTHORITY] : [IS_AUTHORITY, altNames(hosts)];
    this.identity = this.#vouch(this.#name, publicKey, privateKey, extensions, 2);
  }

  get cert(): string {
    return this.identity.cert;
  }

  /** Vouches for a host, e.g. `IP:127.0.0.1` or `DNS:localhost`, for so many days; below 0 they are over. */
  issue(host: string, days = 1): Identity {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return this.#vouch(named('leaf'), publicKey, privateKey, [altNames([host])], days);
  }

  #vouch(
    subject: Buffer,
    publicKey: KeyObject,
    privateKey: KeyObject,
    extensions: readonly Buffer[],
    days: number,
  ): Identity {
    const body = sequence(
      der(0xa0, hex('020102')),
      der(0x02, hex('01'), randomBytes(8)),
      ECDSA_SHA256,
      this.#name,
      sequence(time(Date.now() - 10 * DAY_MS), time(Date.now() + days * DAY_MS)),
      subject,
      publicKey.export({ type: 'spki', format: 'der' }),
      der(0xa3, sequence(...extensions)),
    );
    const signature = sign('sha256', body, this.#key);
    return {
      cert: pem('CERTIFICATE', sequence(body, ECDSA_SHA256, der(0x03, hex('00'), signature))),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
  }
}

/** A certificate for 127.0.0.1 and localhost that is its own authority. */
export function selfSigned(name: string): Identity {
  return new Authority(name, ['IP:127.0.0.1', 'DNS:localhost']).identity;
}
