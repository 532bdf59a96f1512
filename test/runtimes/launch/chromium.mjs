import { chromium } from 'playwright-core';

import { bundle } from '../bundle.mjs';
import { host } from '../host.mjs';

const PAGE = '<!doctype html><title>keyverify</title><script src="/script.js"></script>';
const STRICT = "default-src 'none'; script-src 'self'; connect-src 'self'; worker-src 'self'";
/** Not a loopback name, so browsers treat its origin as insecure. */
const INSECURE = 'insecure.test';

/** The suite in a browser: in a `page`, a Web `worker`, a page with a strict `csp`, or on an `insecure` origin. */
export async function inChromium({ where, ...row }) {
  const entry = where === 'worker' ? 'web-worker.js' : 'page.js';
  const { code, modules } = await bundle(row.consumer, entry, { format: 'iife', conditions: ['browser'] });
  if (modules.join() !== 'platform/web.js,transport/web.js') throw new Error(`the bundle contains ${modules.join()}`);
  const files = {
    '/': ['text/html', where === 'worker' ? '<!doctype html>' : PAGE],
    '/script.js': ['text/javascript', code],
  };
  return await browse({ where, files, ...row });
}

/** Opens `files` in the browser. The page reads its configuration from `/config.json`. */
export async function browse({ consumer, command, where, files, expects }) {
  const headers = where === 'csp' ? { 'content-security-policy': STRICT } : {};
  const { port, config, close } = await host(consumer, { files, headers });
  const origin = `http://${where === 'insecure' ? INSECURE : '127.0.0.1'}:${port}`;
  const own = {
    verifyUrl: origin + new URL(config.verifyUrl).pathname,
    controlUrl: `${origin}/control`,
    options: { dangerouslyAllowBrowser: where !== 'worker', allowInsecureHttp: where === 'insecure' },
    expects,
  };
  files['/config.json'] = ['application/json', JSON.stringify(own)];
  const args = ['--no-sandbox', `--host-resolver-rules=MAP ${INSECURE} 127.0.0.1`];
  const browser = await chromium.launch({ executablePath: command, args });
  try {
    const tab = await browser.newPage();
    await tab.goto(origin);
    return where === 'worker' ? await tab.evaluate(askWorker, own) : check(await tab.evaluate('report'), where);
  } finally {
    await browser.close();
    await close();
  }
}

/** Runs in the page. */
async function askWorker(config) {
  const worker = new Worker('/script.js');
  const report = new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
  });
  worker.postMessage(config);
  return await report;
}

/** Checks that the page is as the row says, and that the library respects its policy. */
function check({ violations, secure, evaluates, ...report }, where) {
  if (violations.length > 0) throw new Error(`the library violates the policy of the page: ${violations.join()}`);
  if (secure === (where === 'insecure')) throw new Error(`crypto.subtle exists: ${secure}`);
  if (evaluates === (where === 'csp')) throw new Error(`the page may evaluate strings: ${evaluates}`);
  return report;
}
