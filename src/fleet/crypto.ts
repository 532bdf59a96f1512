type Bytes = Uint8Array<ArrayBuffer>;

/** What sealing is made of. Synchronous where the runtime has `node:crypto`, which is ten times as fast. */
export interface Crypto {
  /** HKDF-SHA-256, 32 bytes. */
  derive(secret: Bytes, info: Bytes): Bytes | Promise<Bytes>;
  /** HMAC-SHA-256. */
  hmac(key: Bytes, data: Bytes): Bytes | Promise<Bytes>;
  /** AES-256-GCM; the tag is at the end. */
  seal(key: Bytes, nonce: Bytes, data: Bytes, additional: Bytes): Bytes | Promise<Bytes>;
  /** Throws or rejects if anything was altered. */
  open(key: Bytes, nonce: Bytes, data: Bytes, additional: Bytes): Bytes | Promise<Bytes>;
}

/** What is needed of `node:crypto`: this file also runs where there are no types of Node. */
interface Cipher {
  setAAD(additional: Bytes): unknown;
  update(data: Bytes): Bytes;
  final(): Bytes;
}
interface NodeCrypto {
  hkdfSync(digest: 'sha256', key: Bytes, salt: string, info: Bytes, length: number): ArrayBuffer;
  createHmac(digest: 'sha256', key: Bytes): { update(data: Bytes): { digest(): Bytes } };
  createCipheriv(algorithm: 'aes-256-gcm', key: Bytes, nonce: Bytes): Cipher & { getAuthTag(): Bytes };
  createDecipheriv(algorithm: 'aes-256-gcm', key: Bytes, nonce: Bytes): Cipher & { setAuthTag(tag: Bytes): unknown };
}
declare const process: { readonly getBuiltinModule?: (name: 'node:crypto') => NodeCrypto | undefined } | undefined;

const TAG_BYTES = 16;

export function cryptoOfRuntime(): Crypto {
  const node = typeof process === 'undefined' ? undefined : process.getBuiltinModule?.('node:crypto');
  return node === undefined ? webCrypto : nodeCrypto(node);
}

function nodeCrypto(node: NodeCrypto): Crypto {
  return {
    derive: (secret, info) => new Uint8Array(node.hkdfSync('sha256', secret, '', info, 32)),
    hmac: (key, data) => node.createHmac('sha256', key).update(data).digest(),
    seal(key, nonce, data, additional) {
      const cipher = node.createCipheriv('aes-256-gcm', key, nonce);
      cipher.setAAD(additional);
      return concat(cipher.update(data), cipher.final(), cipher.getAuthTag());
    },
    open(key, nonce, data, additional) {
      const decipher = node.createDecipheriv('aes-256-gcm', key, nonce);
      decipher.setAAD(additional);
      // A shorter tag would be easier to guess.
      if (data.length < TAG_BYTES) throw new TypeError('no tag');
      decipher.setAuthTag(data.subarray(-TAG_BYTES));
      return concat(decipher.update(data.subarray(0, -TAG_BYTES)), decipher.final());
    },
  };
}

export const webCrypto: Crypto = {
  async derive(secret, info) {
    const key = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
    const how = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info };
    return new Uint8Array(await crypto.subtle.deriveBits(how, key, 256));
  },
  async hmac(raw, data) {
    const key = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
    return new Uint8Array(await crypto.subtle.sign('HMAC', key, data));
  },
  async seal(raw, iv, data, additionalData) {
    const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt']);
    return new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData }, key, data));
  },
  async open(raw, iv, data, additionalData) {
    const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['decrypt']);
    return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv, additionalData }, key, data));
  },
};

function concat(...parts: readonly Bytes[]): Bytes {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
