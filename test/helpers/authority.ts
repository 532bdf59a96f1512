import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A private key and what vouches for it, both as PEM. */
export interface Identity {
  readonly key: string;
  readonly cert: string;
}

/** A certificate authority that is made on the fly, by the `openssl` that is at hand wherever git is. */
export class Authority {
  readonly cert: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'keyverify-ca-'));

  constructor() {
    this.#openssl(
      'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2',
      'ca',
    );
    this.cert = this.#read('ca.pem');
  }

  /** Vouches for a host, e.g. `IP:127.0.0.1` or `DNS:localhost`, for so many days. */
  issue(host: string, days = 1): Identity {
    this.#openssl('req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -out leaf.csr', 'leaf');
    writeFileSync(join(this.#folder, 'ext'), `subjectAltName=${host}\n`);
    this.#openssl(
      `x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days ${days} -extfile ext -out leaf.pem`,
    );
    return { key: this.#read('leaf.key'), cert: this.#read('leaf.pem') };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true });
  }

  #read(name: string): string {
    return readFileSync(join(this.#folder, name), 'utf8');
  }

  #openssl(command: string, name?: string): void {
    const subject = name === undefined ? [] : ['-subj', `/CN=${name}`];
    execFileSync('openssl', [...command.split(' '), ...subject], { cwd: this.#folder, stdio: 'pipe' });
  }
}
