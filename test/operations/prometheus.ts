import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { onTestFinished } from 'vitest';

import { freePort } from '../helpers/free-port.js';

const OPERATIONS = resolve(import.meta.dirname, '../../docs/operations');
const RULES = join(OPERATIONS, 'keyverify.rules.yml');

export const dashboard = async (): Promise<string> => await readFile(join(OPERATIONS, 'dashboard.json'), 'utf8');

export const alertNames = async (): Promise<readonly string[]> =>
  [...(await readFile(RULES, 'utf8')).matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name).toSorted();

/** Debian's package `prometheus` has both. */
export const isInstalled = ['prometheus', 'promtool'].every((name) => spawnSync(name, ['--version']).status === 0);

/** Durations so short that an outage of seconds does what one of minutes does: the same rules, only faster. */
const SHORTER: readonly (readonly [RegExp, string])[] = [
  [/for: \w+/g, 'for: 1s'],
  [/\[\d+m\]/g, '[8s]'],
  [/\[1d\] offset 1h/g, '[20s] offset 10s'],
  [/\[1h\] offset 5m/g, '[20s] offset 8s'],
  // Of an answer that is slow, in seconds.
  [/^( +)> 1$/gm, '$1> 0.2'],
  // Of the lag, which is in seconds.
  [/> 30$/gm, '> 3'],
];

const shorten = (text: string): string =>
  SHORTER.reduce((shorter, [pattern, replacement]) => shorter.replace(pattern, replacement), text);

interface Series {
  readonly metric: Readonly<Record<string, string>>;
  /** When, and the number as text. */
  readonly value: readonly [number, string];
}

/** Starts a Prometheus that scrapes these ports every half second and evaluates our rules as often. */
export async function startPrometheus(targets: readonly number[]) {
  const directory = await mkdtemp(join(tmpdir(), 'keyverify-prometheus-'));
  const port = await freePort();
  await writeFile(join(directory, 'rules.yml'), shorten(await readFile(RULES, 'utf8')));
  await writeFile(
    join(directory, 'prometheus.yml'),
    JSON.stringify({
      global: { scrape_interval: '500ms', scrape_timeout: '500ms', evaluation_interval: '500ms' },
      rule_files: ['rules.yml'],
      scrape_configs: [
        { job_name: 'api', static_configs: [{ targets: targets.map((target) => `127.0.0.1:${target}`) }] },
      ],
    }),
  );
  const args = [
    `--config.file=${join(directory, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(directory, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const child = spawn('prometheus', args, { stdio: 'ignore' });
  const exited = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
    await rm(directory, { recursive: true });
  });
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return await response.json();
  };
  const isReady = async (): Promise<boolean> =>
    await fetch(`http://127.0.0.1:${port}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isReady())) {
    if (child.exitCode !== null) throw new Error('prometheus did not start');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    /** The names of the alerts that fire. */
    firing: async (): Promise<ReadonlySet<string>> => {
      const { data } = (await get('/api/v1/alerts')) as {
        data: { alerts: readonly { state: string; labels: { alertname: string } }[] };
      };
      return new Set(data.alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname));
    },
    query: async (expression: string): Promise<readonly Series[]> => {
      const path = `/api/v1/query?query=${encodeURIComponent(expression)}`;
      const { data } = (await get(path)) as { data: { result: readonly Series[] } };
      return data.result;
    },
  };
}
