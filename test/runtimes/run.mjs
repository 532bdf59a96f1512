import { availableParallelism } from 'node:os';

import { prepare, tidy } from './prepare.mjs';

const started = Date.now();
const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`;
const say = (text) => console.log(text);

await prepare();
say(`installed, built and packed in ${seconds(started)}`);

// Imported only now, because they import packages that have just been installed.
const { find, jobs } = await import('./rows.mjs');
const { gates } = await import('./gates.mjs');
const { types } = await import('./types.mjs');
const { document } = await import('./table.mjs');

const write = process.argv.includes('--write');
const failures = [];
const done = [];
const queue = [...jobs.entries()];

async function work() {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [place, job] = next;
    const since = Date.now();
    const rows = await Promise.all(job.rows.map(find));
    const lost = rows.find(({ missing }) => missing);
    const reports = lost ? [] : await job.launch(rows).catch((error) => (failures.push(error.stack), []));
    rows.forEach((row, index) => conclude({ ...row, place: place + index / 10 }, reports[index], since));
  }
}

function conclude(row, report, since) {
  const name = [row.runtime, row.version, row.module, row.how].filter(Boolean).join(' ');
  if (row.missing) {
    say(`- ${name}: not installed`);
    // A page without this row would say that the runtime isn't supported.
    if (process.env.CI || write) failures.push(`${name}: the runtime is missing`);
    return;
  }
  const failed = report?.results.filter(({ ok }) => !ok) ?? [];
  const passed = report === undefined ? 0 : report.results.length - failed.length;
  for (const { title, error } of failed) failures.push(`${name}: ${title}\n${error}`);
  if (passed === 0) failures.push(`${name}: no case ran`);
  say(
    `${passed > 0 && failed.length === 0 ? '✓' : '✗'} ${name}: ${passed} passed, ${failed.length} failed (${seconds(since)})`,
  );
  done.push({ ...row, passed, observed: report?.observed });
}

await Promise.all(Array.from({ length: availableParallelism() }, work));
const fail = (failure) => failures.push(failure);
const compiled = await types(fail, say);
// Alone, because it measures time.
const measured = await gates(fail, say);

for (const failure of failures) say(`\n✗ ${failure}`);
const cases = done.reduce((sum, { passed }) => sum + passed, 0);
say(`\n${done.length} runtimes, ${cases} cases passed, ${failures.length} failures, ${seconds(started)}`);
await tidy();
if (write && failures.length === 0) await document(done, compiled, measured);
process.exitCode = failures.length === 0 ? 0 : 1;
