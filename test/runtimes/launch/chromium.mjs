import { chromium } from 'playwright-core';

import { bundle } from '../bundle.mjs';
import { host } from '../host.mjs';

const PAGE = '<!doctype html><title>keyverify</title><script src="/script.js"></script>';
const STRICT = "default-src 'none'; script-src 'self'; connect-src 'self'; worker-src 'self'";
/** Not this machine by its name, so not trustworthy to the browser. */
const INSECURE = 'insecure.test';

/** The suite in a browser: in a `page`, in a Web `worker`, under a strict `csp`, or on an `insecure` origin. */
export async function inChromium({ where, ...row }) {
  const entry = where === 'worker' ? 'web-worker.js' : 'page.js';
  const { code, platforms } = await bundle(row.consumer, entry, { format: 'iife', conditions: ['browser'] });
  if (platforms.join() !== 'web.js') throw new Error(`the bundle holds ${platforms.join()}`);
  const files = {
    '/': ['text/html', where === 'worker' ? '<!doctype html>' : PAGE],
    '/script.js': ['text/javascript', code],
  };
  return await browse({ where, files, ...row });
}

/** Opens `files` in the browser; `/config.json` tells the page what to run against. */
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

/** The page is what the row says it is, and the library kept to its policy. */
function check({ violations, secure, evaluates, ...report }, where) {
  if (violations.length > 0) throw new Error(`the library broke the page's policy: ${violations.join()}`);
  if (secure === (where === 'insecure')) throw new Error(`crypto.subtle is there: ${secure}`);
  if (evaluates === (where === 'csp')) throw new Error(`the page may evaluate text: ${evaluates}`);
  return report;
}
