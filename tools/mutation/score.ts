/** Writes the score of the last run into test/mutation.md. Fails if its survivors are not those that the page explains. */
import { readFileSync, writeFileSync } from 'node:fs';

import { format } from 'prettier';

interface Position {
  readonly line: number;
  readonly column: number;
}

interface Mutant {
  readonly status: string;
  readonly replacement: string;
  readonly location: { readonly start: Position; readonly end: Position };
}

interface Report {
  readonly files: Readonly<Record<string, { readonly source: string; readonly mutants: readonly Mutant[] }>>;
}

const ROOT = new URL('../../', import.meta.url);
const PAGE = new URL('test/mutation.md', ROOT);
const TABLE = /(?<=<!-- score -->\n)[^]*(?=<!-- \/score -->)/;

const KILLED = ['Killed', 'Timeout'];
const SURVIVED = ['Survived', 'NoCoverage'];

const { files } = JSON.parse(readFileSync(new URL('reports/mutation/mutation.json', ROOT), 'utf8')) as Report;

/** What a mutant changes. Without line numbers, because they move. */
function change(source: string, { replacement, location: { start, end } }: Mutant): string {
  const lines = source.split('\n').slice(start.line - 1, end.line);
  const last = lines.pop() ?? '';
  const text = [...lines, last.slice(0, end.column - 1)].join('\n').slice(start.column - 1);
  return `${inline(text)} → ${inline(replacement)}`;
}

function inline(code: string): string {
  const text = oneLine(code);
  return text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}

function row(name: string, mutants: readonly Mutant[]): string {
  const count = (statuses: readonly string[]): number =>
    mutants.filter(({ status }) => statuses.includes(status)).length;
  const [killed, survived] = [count(KILLED), count(SURVIVED)];
  const score = ((100 * killed) / (killed + survived)).toFixed(1);
  return `| ${name} | ${killed + survived} | ${killed} | ${count(['Timeout'])} | ${survived} | ${score} % |`;
}

const folderOf = (path: string): string => /^src\/\w+(?:\/|\.ts)/.exec(path)?.[0] ?? path;
const inside = (folder: string): readonly Mutant[] =>
  Object.entries(files).flatMap(([path, { mutants }]) => (path.startsWith(folder) ? mutants : []));
const folders = [...new Set(Object.keys(files).map(folderOf))].sort();
const rows = [...folders.map((folder) => row(`\`${folder}\``, inside(folder))), row('all', inside(''))];
const table = `
| part | mutants | killed | of them by timeout | survived | score |
| --- | --- | --- | --- | --- | --- |
${rows.join('\n')}

Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}.

`;
const page = readFileSync(PAGE, 'utf8').replace(TABLE, () => table);
writeFileSync(PAGE, await format(page, { parser: 'markdown', printWidth: 120 }));

const survivors = Object.entries(files).flatMap(([path, { source, mutants }]) =>
  mutants.filter(({ status }) => SURVIVED.includes(status)).map((mutant) => `\`${path}\`: ${change(source, mutant)}`),
);
const explanations = page
  .split(/^- (?=`src\/)/m)
  .slice(1)
  .map(oneLine);
const unexplained = survivors.filter((survivor) => {
  const at = explanations.findIndex((explanation) => explanation.startsWith(survivor));
  return at < 0 || explanations.splice(at, 1).length === 0;
});
for (const survivor of unexplained) console.log('survived, but not explained:', survivor);
for (const explanation of explanations) console.log('explained, but did not survive:', explanation);
process.exitCode = unexplained.length + explanations.length === 0 ? 0 : 1;
