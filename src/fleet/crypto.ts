type Bytes = Uint8Array<ArrayBuffer>;

/** What sealing is made of. Synchronous where the runtime has `node:crypto`, which is ten times as fast. */
export interface SealingCrypto {
  /** HKDF-SHA-256, 32 bytes. */
  derive(secret: string, info: string): Bytes | Promise<Bytes>;
  /** HMAC-SHA-256, as base64url. */
  hmac(key: Bytes, text: string): string | Promise<string>;
  /** AES-256-GCM with a random nonce, as base64url: the nonce, the ciphertext, the tag. */
  seal(key: Bytes, text: string, additional: string): string | Promise<string>;
  /** Throws or rejects if anything was altered. */
  open(key: Bytes, sealed: string, additional: string): string | Promise<string>;
}

/** What is needed of Node's modules: this file also runs where there are no types of Node. */
interface NodeBytes extends Bytes {
  subarray(from?: number, to?: number): NodeBytes;
  toString(encoding?: 'utf8' | 'base64url'): string;
  write(text: string, offset: number, encoding: 'latin1'): number;
}
interface NodeBuffer {
  from(text: string, encoding: 'utf8' | 'base64url' | 'latin1'): NodeBytes;
  from(bytes: readonly number[]): NodeBytes;
  concat(parts: readonly Bytes[]): NodeBytes;
}
interface Cipher {
  setAAD(additional: Bytes): unknown;
  update(data: Bytes): NodeBytes;
  final(): NodeBytes;
}
interface NodeCrypto {
  hkdfSync(digest: 'sha256', key: string, salt: string, info: string, length: number): ArrayBuffer;
  hash(digest: 'sha256', data: Bytes, encoding: 'binary'): string;
  createCipheriv(algorithm: 'aes-256-gcm', key: Bytes, nonce: Bytes): Cipher & { getAuthTag(): Bytes };
  createDecipheriv(algorithm: 'aes-256-gcm', key: Bytes, nonce: Bytes): Cipher & { setAuthTag(tag: Bytes): unknown };
}
interface GetBuiltinModule {
  (name: 'node:crypto'): NodeCrypto | undefined;
  (name: 'node:buffer'): { readonly Buffer: NodeBuffer } | undefined;
}
declare const process: { readonly getBuiltinModule?: GetBuiltinModule } | undefined;

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export function cryptoOfRuntime(): SealingCrypto {
  const load = typeof process === 'undefined' ? undefined : process.getBuiltinModule;
  const [node, buffer] = [load?.('node:crypto'), load?.('node:buffer')];
  return node === undefined || buffer === undefined ? webCrypto : nodeCrypto(node, buffer.Buffer);
}

const randomNonce = (): Bytes => crypto.getRandomValues(new Uint8Array(NONCE_BYTES));

function nodeCrypto(node: NodeCrypto, buffer: NodeBuffer): SealingCrypto {
  const macs = new WeakMap<Bytes, (text: string) => string>();
  return {
    derive: (secret, info) => new Uint8Array(node.hkdfSync('sha256', secret, '', info, 32)),
    hmac(key, text) {
      const mac = macs.get(key) ?? macOf(node, buffer, key);
      macs.set(key, mac);
      return mac(text);
    },
    seal(key, text, additional) {
      const nonce = randomNonce();
      const cipher = node.createCipheriv('aes-256-gcm', key, nonce);
      cipher.setAAD(buffer.from(additional, 'utf8'));
      const sealed = [cipher.update(buffer.from(text, 'utf8')), cipher.final(), cipher.getAuthTag()];
      return buffer.concat([nonce, ...sealed]).toString('base64url');
    },
    open(key, sealed, additional) {
      const bytes = buffer.from(sealed, 'base64url');
      // A shorter tag would be easier to guess.
      if (bytes.length < NONCE_BYTES + TAG_BYTES) throw new TypeError('no tag');
      const decipher = node.createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES));
      decipher.setAAD(buffer.from(additional, 'utf8'));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
      // In this mode there is nothing left to come: it only throws if the tag is wrong.
      decipher.final();
      return text.toString('utf8');
    },
  };
}

const BLOCK_BYTES = 64;

/** HMAC as RFC 2104 has it, by two hashes: a native object for each takes longer to make, and to collect, than they do. */
function macOf(node: NodeCrypto, buffer: NodeBuffer, key: Bytes): (text: string) => string {
  const pad = (by: number): readonly number[] => Array.from({ length: BLOCK_BYTES }, (_, i) => (key[i] ?? 0) ^ by);
  const [inner, outer] = [buffer.from(pad(0x36)), buffer.from([...pad(0x5c), ...new Uint8Array(32)])];
  return (text) => {
    const message = buffer.concat([inner, buffer.from(text, 'utf8')]);
    outer.write(node.hash('sha256', message, 'binary'), BLOCK_BYTES, 'latin1');
    return buffer.from(node.hash('sha256', outer, 'binary'), 'latin1').toString('base64url');
  };
}

export const encode = (text: string): Bytes => new TextEncoder().encode(text);

export const webCrypto: SealingCrypto = {
  async derive(secret, info) {
    const key = await crypto.subtle.importKey('raw', encode(secret), 'HKDF', false, ['deriveBits']);
    const how = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info: encode(info) };
    return new Uint8Array(await crypto.subtle.deriveBits(how, key, 256));
  },
  async hmac(raw, text) {
    const key = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
    return toBase64Url(new Uint8Array(await crypto.subtle.sign('HMAC', key, encode(text))));
  },
  async seal(raw, text, additional) {
    const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt']);
    const iv = randomNonce();
    const how = { name: 'AES-GCM', iv, additionalData: encode(additional) };
    const sealed = new Uint8Array(await crypto.subtle.encrypt(how, key, encode(text)));
    const joined = new Uint8Array(NONCE_BYTES + sealed.length);
    joined.set(iv);
    joined.set(sealed, NONCE_BYTES);
    return toBase64Url(joined);
  },
  async open(raw, sealed, additional) {
    const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['decrypt']);
    const bytes = fromBase64Url(sealed);
    const how = { name: 'AES-GCM', iv: bytes.subarray(0, NONCE_BYTES), additionalData: encode(additional) };
    return new TextDecoder().decode(await crypto.subtle.decrypt(how, key, bytes.subarray(NONCE_BYTES)));
  },
};

function toBase64Url(bytes: Bytes): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function fromBase64Url(text: string): Bytes {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
