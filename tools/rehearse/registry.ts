/** An npm registry on loopback: verdaccio, behind a server with trusted publishing and a switch that fails a publish. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { runServer } from 'verdaccio';

import { folder } from './shell.ts';

/** The claims of GitHub's id token about a job. npm compares them with its trusted publisher. */
export interface Claims {
  readonly repository: string;
  readonly workflow: string;
  readonly environment: string | undefined;
}
interface Packument {
  readonly versions: Readonly<
    Record<string, { dist: { shasum: string; tarball: string }; repository: { url: string } }>
  >;
  readonly 'dist-tags': Readonly<Record<string, string>>;
}

export class Registry {
  readonly url: string;
  /** The owner's token, which may publish. The very first version needs it. */
  readonly token: string;
  /** Refuses the next publish, once. */
  refuseNext = false;
  readonly #name: string;

  constructor(url: string, token: string, name: string) {
    this.url = url;
    this.token = token;
    this.#name = name;
  }

  async packument(): Promise<Packument> {
    const response = await fetch(`${this.url}${this.#name}`);
    return (await response.json()) as Packument;
  }
}

const send = (response: ServerResponse, status: number, body: object): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

/** Starts the registry for one package; every other package comes from `upstream`. */
export async function startRegistry(name: string, trusted: Claims, upstream: string): Promise<Registry> {
  const verdaccio = await runServer({
    configPath: join(folder, 'verdaccio.yaml'),
    storage: join(folder, 'registry'),
    auth: { htpasswd: { file: join(folder, 'htpasswd'), algorithm: 'crypt' } },
    uplinks: { upstream: { url: upstream } },
    packages: { [name]: { access: '$all', publish: '$authenticated' }, '**': { access: '$all', proxy: 'upstream' } },
    log: { type: 'file', path: join(folder, 'verdaccio.log'), level: 'warn' },
  });

  const exchange = (request: IncomingMessage, response: ServerResponse): void => {
    const [, payload = ''] = (request.headers.authorization ?? '').split('.');
    const claims = Buffer.from(payload, 'base64url').toString();
    if (claims === JSON.stringify(trusted)) send(response, 201, { token: registry.token });
    else send(response, 403, { message: `no trusted publisher for ${claims}` });
  };
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/-/npm/v1/oidc/token/exchange/') === true) exchange(request, response);
    else if (request.method === 'PUT' && request.url === `/${name}` && registry.refuseNext) {
      registry.refuseNext = false;
      request.resume().on('end', () => send(response, 403, { error: 'refused by the rehearsal' }));
    } else verdaccio.emit('request', request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;

  const owner = { name: 'owner', password: 'rehearsal-owner' };
  const response = await fetch(`${url}-/user/org.couchdb.user:owner`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(owner),
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(`the registry refused the user: ${response.status} ${answer}`);
  const registry = new Registry(url, (JSON.parse(answer) as { token: string }).token, name);
  return registry;
}
