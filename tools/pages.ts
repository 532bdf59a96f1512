/** Writing the generated pages of docs/. */
import { mkdirSync, writeFileSync } from 'node:fs';

import { format } from 'prettier';

const DOCS = new URL('../docs/', import.meta.url);

/** Writes `docs/<path>`: Markdown and JSON formatted as the rest of the repository is, anything else as given. */
export async function writeDoc(path: string, text: string): Promise<void> {
  const file = new URL(path, DOCS);
  const parser = { md: 'markdown', json: 'json' }[path.split('.').at(-1) ?? ''];
  const formatted = parser === undefined ? text : await format(text, { parser, printWidth: 120, singleQuote: true });
  mkdirSync(new URL('.', file), { recursive: true });
  writeFileSync(file, formatted);
  console.log(`wrote docs/${path}`);
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A number with its thousands set apart by spaces. */
export const grouped = (value: number): string => value.toLocaleString('en').replaceAll(',', ' ');
