import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import { format } from 'prettier';

import type { Figures } from './lib/figures.js';

const ROOT = new URL('../../docs/', import.meta.url);

/** The commands, and what each of them holds the library to. */
const CHAPTERS = [
  [
    'chaos',
    'Chaos',
    `Four verifier processes ask two key servers through a loopback proxy, while keys are issued, revoked, forgotten and
end, servers restart and misbehave, and the proxy cuts, delays, swallows, drips and corrupts. Every result is held against
a log of the truth. Violations would be: a revoked key that is valid later than the bound (\`cacheTtlMs\` from the sending of
the request that was answered; \`staleIfErrorMs\` more only while there is a failure), an unknown key that is valid, a good
key that is refused though a usable verdict was there, a caller who waits past the deadline, more requests than the limit,
an unhandled rejection, a socket or timer that is left at \`close()\`, and anything but a verdict when all has been well for
3.5 s (the longest breaker, cool-down and deadline of the run). Corruption puts a byte into answers that no text has: over
plain HTTP a changed letter is another answer, and TLS is there to tell. The seed gives the same plan again, not the same
interleaving.`,
  ],
  [
    'flood',
    'Flood',
    `Made-up keys, each of them new, against 10 000 good keys in use, with \`failOpen\` on and a key server that takes 40 ms. It
fails if a good key misses, if it fails open, if there are more requests than the limit, or if memory grows between middle
and end. Latencies are of \`verify()\` on good keys, which is what a caller waits for once his request is heard; the delay of
the event loop says how busy the process is, key server and flood on the same machine.`,
  ],
  [
    'soak',
    'Soak',
    `64 callers without a pause, keys that rotate 50 times a second, an outage of 4 s in every 20. It fails if the heap grows by
over 5 % after the first minute, or if sockets or timers pile up or are left at \`close()\`.`,
  ],
  [
    'recovery',
    'Recovery',
    `Two hundred verifiers lose their key server for a while. Simulated: the clock, the network (10 ms) and the key server;
real: all of the library. The aim is less than twice the steady load in the first second after its return; it fails
otherwise. The worst of the two minutes that follow is shown, too. A refresh that the outage stopped is left for the second
half of the time that its verdict is still fresh. After a long outage there are verdicts past their TTL as well: they are
asked for when their verifier's breaker closes, within its longest 30 s, for to be later would be to serve them longer.

![Requests a second around an outage of 10 s, with and without jitter](figures/recovery-10s.svg)

![Requests a second around an outage of 20 s, with and without jitter](figures/recovery-20s.svg)

![Requests a second around an outage of 60 s, with and without jitter](figures/recovery-60s.svg)`,
  ],
] as const;

const PEERS = [
  'peers',
  'Peers in the same cases',
  `The same cases, each put to this library and to packages that do one part or another of what it does. Clients ask the
embedded key server, which is out for them in the same way; caches are given a function that asks it, written as their
documentation has it, and the same room. Better-auth keeps keys itself: for it, the database is out. What guards of web
frameworks answer to a caller in an outage is in [adapters.md](adapters.md).`,
] as const;

const parts = [
  '# Reliability',
  'Made by `npm run docs:reliability` from what the commands wrote with `--save`. Ratios carry over to other machines, absolute figures do not.',
  'What the tests notice of a broken core, and each mutant that survives them, stands in [test/mutation.md](../test/mutation.md).',
];
for (const [name, title, about] of [...CHAPTERS, PEERS]) {
  const file = new URL(`figures/${name}.json`, ROOT);
  if (!existsSync(file)) continue;
  const { command, date, machine, figures } = JSON.parse(readFileSync(file, 'utf8')) as Figures;
  const rows = name === PEERS[0] ? comparison(figures) : table(figures);
  parts.push(`## ${title}`, about, `\`${command}\`, ${date}, ${machine}:`, rows);
}
const page = await format(parts.join('\n\n'), { parser: 'markdown', printWidth: 120, singleQuote: true });
writeFileSync(new URL('reliability.md', ROOT), page);

function table(figures: Readonly<Record<string, unknown>>): string {
  const rows = Object.entries(figures).map(([name, value]) => `| ${name} | ${shown(value)} |`);
  return ['| Figure | Value |', '| --- | --- |', ...rows].join('\n');
}

function comparison(cases: Readonly<Record<string, unknown>>): string {
  const rows = Object.entries(cases).map(([name, said]) => {
    const [[, ours] = [], ...others] = Object.entries(said as Readonly<Record<string, string>>);
    return `| ${name} | ${ours ?? ''} | ${others.map(([peer, theirs]) => `${peer}: ${theirs}`).join('<br>')} |`;
  });
  return ['| Case | keyverify | peers |', '| --- | --- | --- |', ...rows].join('\n');
}

function shown(value: unknown): string {
  if (typeof value === 'number') return value.toLocaleString('en').replaceAll(',', ' ');
  if (Array.isArray(value)) return value.map(shown).join(typeof value[0] === 'object' ? '<br>' : ', ');
  if (typeof value !== 'object' || value === null) return String(value);
  const separator = Object.values(value).some((inner) => typeof inner === 'object') ? '<br>' : ', ';
  return Object.entries(value)
    .map(([name, inner]) => `${name}: ${shown(inner)}`)
    .join(separator);
}
