/** docs/reliability.md, from the figures in docs/figures/. */
import { existsSync, readFileSync } from 'node:fs';

import { grouped, table, writeDoc } from '../../tools/pages.js';
import { SETTINGS } from './chaos/wire.js';
import type { Figures } from './lib/figures.js';

const chart = (seconds: number): string =>
  `![Questions about keys per second around an outage of ${seconds} s, with and without jitter](figures/recovery-${seconds}s.svg)`;

interface Chapter {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  /** How the tables with two columns are headed. */
  readonly head: readonly [string, string];
}

const CHAPTERS: readonly Chapter[] = [
  {
    name: 'chaos',
    title: 'Chaos',
    about: `Four verifier processes ask two key servers through a loopback proxy: with the pool, with \`fetch\` and with a
custom dispatcher, with \`failOpen\` on and off. Outages for everybody (\`gone\`: connections are refused; \`reset\`;
\`black-hole\`: requests are swallowed; \`unavailable\`: 503), attacks and storms take turns, while keys are issued, revoked,
deleted and expire.

- In a storm, single servers restart and inject faults, and the proxy cuts, delays, swallows, drips and corrupts.
- In an attack, the server is healthy and callers are hostile: poison keys (500 for keys over 2 048 bytes; a firewall that
  resets, closes, drops, or answers 502 or 503 by a key's content), floods of 64 made-up keys at a server that sheds load or has
  one slow worker, made-up keys that provoke a 429, a service that computes for 600 ms, and a revoked key that comes back
  whenever a pause ends or the breaker opens. Callers with a valid new key arrive throughout.

Every result is checked against a log of the truth. These are violations; the numbers are those of the invariants in
[test/invariants.test.ts](../test/invariants.test.ts):

- a revoked key is verified after its bound, or lives on while the server answers others (3),
- a call takes longer than its deadline (6),
- a caller is let in although there is no outage for everybody, or although the key was rejected, has expired or was
  invalidated (7),
- a caller with a valid new key waits for more than 2 s while the server answers others, or a valid key stops working (14),
- a revocation is lost (12),
- \`failOpen\` doesn't open within \`timeoutMs\` (here ${SETTINGS.timeoutMs / 1000} s) of an outage; of a hang, within 1 s and 45 % of \`timeoutMs\`,
  see [outages](outages.md#what-cant-be-told-apart),
- a verifier doesn't recover by itself within 1.5 s, or 5 s after an outage of more than 10 s,
- there is more than one control question a second, or more than two while the server answers,
- there are more questions at once than \`maxConcurrency\`, or more requests in flight than that many questions with all their
  retries and one control question make,
- a usable verdict isn't used, a rejection is unhandled, or a socket or timer is left after \`close()\`.

Corruption writes a byte that is never part of UTF-8: over plain HTTP a changed letter is a different response, which only TLS can
detect. Rules about time don't apply while a process gets no processor time. The figures say how often that was; a busy machine
proves less. The same seed gives the same plan, but not the same interleaving.`,
    head: ['kind', 'count'],
  },
  {
    name: 'flood',
    title: 'Flood',
    about: `Made-up keys that never repeat flood a service with 10 000 valid keys in use, \`failOpen\` on, and a key server that takes
40 ms. The test fails if a valid key misses the cache, if the verifier fails open, if there are more requests in flight than
the limit and a control question, or if memory grows between the middle and the end. Latencies are those of \`verify()\` on valid
keys. The event loop delay shows how busy the process is: the flood and the traffic share it, and the key server shares the
machine.`,
    head: ['', 'value'],
  },
  {
    name: 'soak',
    title: 'Soak',
    about: `64 callers call without a pause, with 50 key rotations a second and an outage of 4 s in every 20 s. The test fails if the heap
grows by more than 5 % after the first minute, if sockets accumulate, or if sockets or timers are left after \`close()\`.`,
    head: ['source', 'count'],
  },
  {
    name: 'recovery',
    title: 'Recovery',
    about: `Two hundred verifiers lose their key server for a while. Clock, network (10 ms) and key server are simulated; the library
is real. The test fails if questions about keys in the first second after the outage are twice the steady load or more. The
table also shows the worst of the 120 seconds that follow.

Refreshes that fall into the outage are deferred to the second half of the remaining TTL. After a long outage there are also
verdicts past their TTL. Each verifier notices within its longest pause of 5 s that the server is back, and asks about them
within a second after that. The seconds after the first can't be held to twice the steady load: after an outage of 60 s an
eighth of all keys is due, as many as in 32 s of steady load. Asking about them within 6 s, beside the steady load, takes more
than six times that load. Asking later would let revoked keys work for longer.

Control questions are counted apart, since they have a bound of their own: one a second for each verifier. With 50 keys, a
verifier asks about a key every five seconds, and it has to look at least as often whether the server is back.

${[10, 20, 60].map(chart).join('\n\n')}`,
    head: ['outage', 'load'],
  },
  {
    name: 'peers',
    title: 'Other packages in the same cases',
    about: `The same cases with other packages that do part of what this library does. Packages that ask a server ask the embedded
key server, with the same fault. Caches get the same capacity, and a function that asks the key server, written as in their
documentation. better-auth keeps keys in a database; for it, the database is down. [adapters.md](adapters.md) shows how the guards
of web frameworks respond in an outage.`,
    head: ['package', 'result'],
  },
];

type Row = Readonly<Record<string, unknown>>;
const isRow = (value: unknown): value is Row => typeof value === 'object' && value !== null && !Array.isArray(value);
const isTable = (value: unknown): boolean =>
  isRow(value) || (Array.isArray(value) && (value.length > 4 || isRow(value[0])));

function shown(value: unknown): string {
  if (typeof value === 'number') return grouped(value);
  if (Array.isArray(value)) return value.map(shown).join('; ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function tableOf(value: unknown, head: readonly [string, string]): string {
  if (Array.isArray(value)) {
    if (!value.every(isRow)) return shown(value);
    const columns = Object.keys(value[0] ?? {});
    return table(
      columns,
      value.map((row) => columns.map((column) => shown(row[column]))),
    );
  }
  const rows = Object.entries(value as Row);
  if (rows.length === 0) return 'none';
  const [, first] = rows[0] ?? [];
  if (!isRow(first))
    return table(
      head,
      rows.map(([name, cell]) => [name, shown(cell)]),
    );
  const columns = Object.keys(first);
  return table(
    ['', ...columns],
    rows.map(([name, row]) => [name, ...columns.map((column) => shown((row as Row)[column]))]),
  );
}

/** Figures in milliseconds are quantiles, not counts of some kind. */
const headOf = (figure: string, head: Chapter['head']): Chapter['head'] =>
  figure.endsWith(', ms') ? ['', 'value'] : head;

function chapter({ name, title, about, head }: Chapter): string[] {
  const file = new URL(`../../docs/figures/${name}.json`, import.meta.url);
  if (!existsSync(file)) return [];
  const { command, date, machine, figures } = JSON.parse(readFileSync(file, 'utf8')) as Figures;
  const entries = Object.entries(figures);
  const scalars = entries.filter(([, value]) => !isTable(value)).map(([figure, value]) => [figure, shown(value)]);
  return [
    `## ${title}`,
    about,
    `\`${command}\`, ${date}, ${machine}:`,
    ...(scalars.length > 0 ? [table(['figure', 'value'], scalars)] : []),
    ...entries.flatMap(([figure, value]) =>
      isTable(value) ? [`${figure}:`, tableOf(value, headOf(figure, head))] : [],
    ),
  ];
}

export async function writeReliability(): Promise<void> {
  const parts = [
    '# Reliability',
    '<!-- Written from docs/figures/ by `npm run stress page`. Edit test/stress/page.ts, not this page. -->',
    'Each stress test prints its figures, and with `--save` keeps them for this page. Ratios carry over to other machines, absolute figures do not.',
    '[test/mutation.md](../test/mutation.md) says how many faults in the code itself the unit tests notice.',
    ...CHAPTERS.flatMap(chapter),
  ];
  await writeDoc('reliability.md', parts.join('\n\n'));
}
