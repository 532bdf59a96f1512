import { child } from '../lib/child.mjs';
import { TOKEN, keyOf } from '../lib/keys.mjs';
import { nginxVersion, startNginx } from '../lib/nginx.mjs';

const SECONDS = 1;
const ROUNDS = 11;
const CONNECTIONS = 32;
/** The empty hook shows what any guard costs in Fastify, the hashing one what it costs to look up a key by its SHA-256. */
const GUARDS = {
  fastify: ['bare', 'an empty hook', 'a hook that hashes', 'keyverify', 'by hand'],
  express: ['bare', 'keyverify', 'by hand'],
};

const server = await child('servers/key-server.mjs', { keys: 16 });
const load = await child('servers/load.mjs');
const { verifyUrl } = server.message;
const subjects = [];
for (const [framework, guards] of Object.entries(GUARDS))
  for (const guard of guards) {
    const app = await child('servers/app.mjs', { framework, guard, verifyUrl });
    subjects.push({ framework, guard, url: `http://127.0.0.1:${app.message.port}/`, stop: app.stop });
    if (guard !== 'bare' || nginxVersion() === undefined) continue;
    const nginx = await startNginx({ appPort: app.message.port, verifyUrl, token: TOKEN });
    subjects.push({ framework, guard: 'nginx auth_request + proxy_cache', url: nginx.url, stop: nginx.stop });
  }

const drive = async ({ url }, seconds) =>
  await load.ask({ url, authorization: `Bearer ${keyOf(1)}`, seconds, connections: CONNECTIONS });
for (const subject of subjects) await drive(subject, 1);
const rows = subjects.map(({ framework, guard }) => ({ framework, guard, rounds: [] }));
for (let round = 0; round < ROUNDS; round++)
  for (const i of subjects.keys()) {
    const at = (i + round) % subjects.length;
    const measured = await drive(subjects[at], SECONDS);
    if (measured.failed > 0 && !rows[at].guard.startsWith('nginx'))
      throw new Error(`${rows[at].framework}, ${rows[at].guard}: ${measured.failed} failed`);
    rows[at].rounds.push(measured);
  }
process.send({ rows, nginx: nginxVersion(), seconds: SECONDS, connections: CONNECTIONS });
await Promise.all([...subjects, server, load].map(({ stop }) => stop()));
process.exit();
