/** An in-memory stand-in for the part of GitHub's REST API that a release uses. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface Release {
  readonly tag_name: string;
  readonly name: string;
  readonly body: string;
  readonly prerelease: boolean;
  readonly draft: boolean;
  readonly assets: ReadonlyMap<string, Buffer>;
}
export interface PullRequest {
  readonly title: string;
  readonly head: string;
  readonly base: string;
}

export class GitHub {
  url = '';
  readonly releases: Release[] = [];
  readonly pulls: PullRequest[] = [];
  /** Refuses the next release, once. */
  refuseNext = false;
  readonly #repository: string;

  constructor(repository: string) {
    this.#repository = repository;
  }

  /** The published release of a tag. */
  release(tag: string): Release | undefined {
    return this.releases.find(({ tag_name, draft }) => tag_name === tag && !draft);
  }

  async answer(request: IncomingMessage): Promise<[status: number, body: object]> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    const body = await buffer(request);
    const json = (): object => JSON.parse(body.toString()) as object;
    const path = pathname.replace(`/repos/${this.#repository}`, '');
    const call = `${request.method ?? ''} ${path.replace(/\d+/, 'N')}`;
    const id = Number(/\d+/.exec(path)?.[0]);

    if (call === 'GET ') return [200, { clone_url: `https://github.com/${this.#repository}.git` }];
    if (call === 'POST /releases' && this.refuseNext) {
      this.refuseNext = false;
      return [422, { message: 'refused by the rehearsal' }];
    }
    if (call === 'POST /releases') {
      const release = { ...(json() as Release), assets: new Map<string, Buffer>() };
      return [201, this.#toJson(this.releases.push(release) - 1)];
    }
    if (call === 'POST /uploads/N') {
      const assets = this.releases[id]?.assets as Map<string, Buffer> | undefined;
      assets?.set(searchParams.get('name') ?? '', body);
      return [201, { browser_download_url: 'https://example.com' }];
    }
    if (call === 'PATCH /releases/N') {
      const release = this.releases[id];
      if (release) this.releases[id] = { ...release, ...json() };
      return [200, this.#toJson(id)];
    }
    if (path.startsWith('/releases/tags/')) {
      const release = this.release(path.replace('/releases/tags/', ''));
      return release ? [200, {}] : [404, { message: 'Not Found' }];
    }
    if (call === 'POST /pulls') {
      this.pulls.push(json() as PullRequest);
      return [201, {}];
    }
    if (path === '/id-token') {
      // The request token carries the claims of the job. GitHub would sign them.
      const claims = request.headers.authorization?.replace('Bearer ', '') ?? '';
      return [200, { value: `header.${claims}.signature` }];
    }
    throw new Error(`the rehearsal's GitHub has no ${call}`);
  }

  #toJson(id: number): object {
    return {
      id,
      html_url: 'https://example.com',
      upload_url: `${this.url}/repos/${this.#repository}/uploads/${id}{?name,label}`,
    };
  }
}

/** Starts the stand-in for one repository. */
export async function startGitHub(repository: string): Promise<GitHub> {
  const github = new GitHub(repository);
  const server = createServer((request, response) => {
    github.answer(request).then(
      ([status, body]) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
      (error: unknown) => response.writeHead(501).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  github.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return github;
}
