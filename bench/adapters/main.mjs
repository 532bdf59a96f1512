/** `npm run bench adapters`: sends the same requests through our adapters and other guards, and writes docs/adapters.md. */
import { writeDoc } from '../../tools/pages.ts';
import { label } from '../lib/versions.mjs';
import { page } from './page.mjs';
import { SECRET, services } from './services.mjs';

// Otherwise frameworks show stack traces to callers.
process.env.NODE_ENV = 'production';
console.error = () => undefined;

const TIMEOUT_MS = 15_000;

async function request({ url }, key) {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
    const body = await response.text();
    return {
      status: response.status,
      challenge: response.headers.get('www-authenticate'),
      retryAfter: response.headers.get('retry-after'),
      reached: body === 'in',
      leaks: `${JSON.stringify([...response.headers])}${body}`.includes(SECRET),
    };
  } catch {
    return { status: null, challenge: null, retryAfter: null, reached: false, leaks: false };
  }
}

async function withService(start, throws, use) {
  const service = await start(throws);
  try {
    return await use(service);
  } finally {
    service.close();
  }
}

async function responsesOf(start) {
  const normal = await withService(start, false, async (service) => [
    await request(service, service.goodKey),
    await request(service),
    await request(service, service.badKey),
  ]);
  // A new service, so that its cache is empty.
  const outage = await withService(start, false, async (service) => {
    await service.outage();
    return await request(service, service.goodKey);
  });
  const thrown = await withService(start, true, async (service) => await request(service, service.goodKey));
  return [...normal, outage, thrown];
}

const rows = [];
for (const [name, start] of Object.entries(services))
  rows.push({ name: await label(name), responses: await responsesOf(start) });
await writeDoc('adapters.md', page(rows, TIMEOUT_MS));
// Some of the packages hold sockets open.
process.exit();
