import { readFileSync } from 'node:fs';

import { child } from '../lib/child.mjs';
import { FIXED_LISTS, NO_GUARDS, guards } from '../lib/guards.mjs';
import { TOKEN } from '../lib/keys.mjs';
import { nginxVersion, startNginx } from '../lib/nginx.mjs';

const PER_SECOND = 800;
const SECONDS = 1;
const ROUNDS = 9;
const WARM_UPS = 2;

const server = await child('servers/key-server.mjs', { keys: 16 });
const unkeyServer = await child('servers/unkey.mjs');
const load = await child('servers/load.mjs');
const { verifyUrl } = server.message;
const urls = { verifyUrl, unkeyUrl: unkeyServer.message.url };

/** Processor time of a process that can't be asked, in microseconds. */
const cpuOf = (pid) => Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1_000;

const subjects = [];
for (const [framework, ofFramework] of Object.entries(guards))
  for (const guard of Object.keys(ofFramework)) {
    const app = await child('servers/app.mjs', { framework, guard, urls });
    const { port, authorization } = app.message;
    const url = `http://127.0.0.1:${port}/`;
    const ownCpu = async () => (await app.ask({})).cpuUs;
    subjects.push({ framework, guard, url, authorization, cpu: ownCpu, stop: app.stop });
    if (framework !== 'fastify' || guard !== 'bare' || nginxVersion() === undefined) continue;
    const nginx = await startNginx({ appPort: port, verifyUrl, token: TOKEN });
    subjects.push({
      framework,
      guard: 'nginx auth_request + proxy_cache',
      url: nginx.url,
      authorization: subjects.find((subject) => subject.guard === 'by hand')?.authorization ?? authorization,
      cpu: async () => (await ownCpu()) + cpuOf(nginx.pid),
      stop: nginx.stop,
    });
  }

async function cpuPerRequest({ framework, guard, url, authorization, cpu }) {
  const before = await cpu();
  const { sent, failed } = await load.ask({ url, authorization, perSecond: PER_SECOND, seconds: SECONDS });
  if (failed > 0) throw new Error(`${framework}, ${guard}: ${failed} failed`);
  return ((await cpu()) - before) / sent;
}

const rows = subjects.map(({ framework, guard }) => {
  const kind = NO_GUARDS.includes(guard) ? 'none' : FIXED_LISTS.includes(guard) ? 'list' : 'guard';
  return { framework, guard, kind, cpuUs: [] };
});
for (let round = -WARM_UPS; round < ROUNDS; round++)
  for (const i of subjects.keys()) {
    const at = (i + round + WARM_UPS) % subjects.length;
    const cpuUs = await cpuPerRequest(subjects[at]);
    if (round >= 0) rows[at].cpuUs.push(cpuUs);
  }
process.send({ rows, nginx: nginxVersion(), perSecond: PER_SECOND, seconds: SECONDS });
await Promise.all([...subjects, server, unkeyServer, load].map(({ stop }) => stop()));
process.exit();
