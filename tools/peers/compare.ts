/** `npm run docs:adapters`: puts the same requests to the adapters and their peers, and writes docs/adapters.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { format } from 'prettier';

import { contenders, SECRET, type Service, type Start } from './contenders.js';
import { type Answer, page } from './page.js';

// Frameworks show stacks to callers otherwise, which no service in production does.
process.env['NODE_ENV'] = 'production';
console.error = () => undefined;

const PATIENCE_MS = 15_000;

async function ask({ url }: Service, key?: string): Promise<Answer> {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(PATIENCE_MS) });
    const body = await response.text();
    const said = `${JSON.stringify([...response.headers])}${body}`;
    const challenge = response.headers.get('www-authenticate');
    const retryAfter = response.headers.get('retry-after');
    return { status: response.status, challenge, retryAfter, reached: body === 'in', leaks: said.includes(SECRET) };
  } catch {
    return { status: null, challenge: null, retryAfter: null, reached: false, leaks: false };
  }
}

async function withService<T>(start: Start, throws: boolean, drive: (service: Service) => Promise<T>): Promise<T> {
  const service = await start(throws);
  try {
    return await drive(service);
  } finally {
    service.close();
  }
}

async function answersOf(start: Start): Promise<Answer[]> {
  const usual = await withService(start, false, async (service) => [
    await ask(service, service.goodKey),
    await ask(service),
    await ask(service, service.badKey),
  ]);
  // A service of its own, so that nothing is remembered from better days.
  const outage = await withService(start, false, async (service) => {
    await service.outage();
    return await ask(service, service.goodKey);
  });
  return [...usual, outage, await withService(start, true, async (service) => await ask(service, service.goodKey))];
}

const versions = (name: string): string => {
  const [scope, rest] = name.split('/');
  const packageName = name.startsWith('@') ? name : scope;
  const where = rest !== undefined && packageName === 'hono' ? '../../node_modules/hono' : `node_modules/${name}`;
  const { version } = JSON.parse(readFileSync(resolve(import.meta.dirname, where, 'package.json'), 'utf8')) as {
    version: string;
  };
  return version;
};

const rows: { name: string; answers: Answer[] }[] = [];
for (const [name, start] of Object.entries(contenders)) {
  const label = name.startsWith('keyverify') ? name : `${name} ${versions(name)}`;
  rows.push({ name: label, answers: await answersOf(start) });
}
const target = resolve(import.meta.dirname, '../../docs/adapters.md');
writeFileSync(
  target,
  await format(page(rows, PATIENCE_MS), { parser: 'markdown', printWidth: 120, singleQuote: true }),
);
console.log(`wrote ${target}`);
process.exit(0);
