import { spawn } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { bundle } from '../bundle.mjs';
import { host } from '../host.mjs';
import { acrossRequests } from './workerd-requests.mjs';

const config = (verifyUrl) => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "2026-11-01",
  bindings = [(name = "VERIFY_URL", text = "${verifyUrl}")],
);
`;

/** The suite within one request of workerd, then the cases that span several requests. */
export async function inWorkerd({ consumer, command, expects }) {
  const conditions = ['workerd', 'worker', 'browser'];
  const external = ['cloudflare:workers'];
  const { code, modules } = await bundle(consumer, 'workerd.js', { format: 'esm', conditions, external });
  if (modules.join() !== 'platform/isolate.js,transport/workerd.js')
    throw new Error(`the bundle contains ${modules.join()}`);
  const { config: urls, server, close } = await host(consumer);
  const folder = await mkdtemp(join(consumer, 'workerd-'));
  await writeFile(join(folder, 'worker.js'), code);
  await writeFile(join(folder, 'config.capnp'), config(urls.verifyUrl));
  const workerd = spawn(command, ['serve', join(folder, 'config.capnp'), '--control-fd=1'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const port = await listening(workerd);
    const ask = async (body, signal = AbortSignal.timeout(20_000)) => {
      const init = { method: 'POST', body: JSON.stringify(body), signal };
      const response = await fetch(`http://127.0.0.1:${port}/`, init);
      const text = await response.text();
      if (response.status !== 200) throw new Error(`${body.route}: workerd answered ${response.status}: ${text}`);
      return JSON.parse(text);
    };
    const report = await ask({ route: 'conform', config: { ...urls, expects } });
    return { ...report, results: [...report.results, ...(await acrossRequests(ask, server))] };
  } finally {
    workerd.kill();
    await close();
  }
}

async function listening(workerd) {
  for await (const line of createInterface(workerd.stdout)) {
    const { event, port } = JSON.parse(line);
    if (event === 'listen') return port;
  }
  throw new Error('workerd exited before it listened');
}
