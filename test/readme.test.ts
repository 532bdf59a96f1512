import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const readme = readFileSync(resolve(root, 'README.md'), 'utf8');
const snippets = [...readme.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code = '']) => code);

/** Compiles each snippet as a module beside the tests, so that `keyverify` means the source. */
function compile(codes: readonly string[]): string[] {
  const config = ts.readConfigFile(resolve(root, 'tsconfig.node.json'), (name) => ts.sys.readFile(name));
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
  const files = new Map(codes.map((code, i) => [resolve(root, `test/readme-${i + 1}.ts`), `${code}\nexport {};\n`]));
  const host = ts.createCompilerHost(options);
  const fileExists = host.fileExists.bind(host);
  host.fileExists = (name) => files.has(name) || fileExists(name);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (name, target, ...rest) => {
    const code = files.get(name);
    return code === undefined ? getSourceFile(name, target, ...rest) : ts.createSourceFile(name, code, target);
  };
  const program = ts.createProgram([...files.keys()], { ...options, noUnusedLocals: false }, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ file, messageText }) => `${file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`);
}

describe('README', () => {
  test('every snippet compiles', { timeout: 60_000 }, () => {
    expect(snippets.length).toBeGreaterThan(3);
    expect(compile(snippets)).toEqual([]);
  });

  test('a snippet that is wrong would be found', { timeout: 60_000 }, () => {
    expect(compile(["import { KeyVerifier } from 'keyverify';\nnew KeyVerifier({ cacheTtl: 300 });"])).toHaveLength(1);
  });

  test('every option is in it', () => {
    const source =
      readFileSync(resolve(root, 'src/options.ts'), 'utf8') + readFileSync(resolve(root, 'src/events.ts'), 'utf8');
    const names = [...source.matchAll(/^ {2}readonly (\w+)\?:/gm)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(25);
    for (const name of names) expect(readme).toContain(`\`${name ?? ''}\``);
  });

  test('both commands are scripts of the package', () => {
    const { scripts } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8')) as { scripts: object };
    for (const [, name = ''] of readme.matchAll(/npm (?:run )?(demo|test)\b/g)) expect(scripts).toHaveProperty(name);
  });
});
