import { resolve } from 'node:path';

import ts from 'typescript';

import { ROOT } from './pages.js';

const config = ts.readConfigFile(resolve(ROOT, 'tsconfig.node.json'), (name) => ts.sys.readFile(name));
const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, ROOT);

/** Compiles sources that exist in memory alone, as modules beside the tests, so that `keyverify` resolves to the source. */
function program(sources: Readonly<Record<string, string>>): ts.Program {
  const files = new Map(
    Object.entries(sources).map(([name, code]) => [resolve(ROOT, 'test', `${name}.ts`), `${code}\nexport {};\n`]),
  );
  const host = ts.createCompilerHost(options);
  const fileExists = host.fileExists.bind(host);
  host.fileExists = (name) => files.has(name) || fileExists(name);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (name, target, ...rest) => {
    const code = files.get(name);
    return code === undefined ? getSourceFile(name, target, ...rest) : ts.createSourceFile(name, code, target);
  };
  return ts.createProgram([...files.keys()], { ...options, noUnusedLocals: false }, host);
}

/** What the compiler has to say about them, one line each. */
export function errors(sources: Readonly<Record<string, string>>): string[] {
  return ts
    .getPreEmitDiagnostics(program(sources))
    .map(({ file, messageText }) => `${file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
}

/** The properties of each named type, those of every member of a union included, or the values of a union of literals. */
export function membersOf(types: Readonly<Record<string, string>>): Record<string, string[]> {
  const names = Object.keys(types);
  const imports = `import type * as kv from 'keyverify';\n`;
  const compiled = program({
    members: imports + names.map((name) => `export type ${name} = ${types[name] ?? ''};`).join('\n'),
  });
  const checker = compiled.getTypeChecker();
  const source = compiled.getSourceFiles().find(({ fileName }) => fileName.endsWith('/members.ts'));
  const found: Record<string, string[]> = {};
  source?.forEachChild((node) => {
    if (!ts.isTypeAliasDeclaration(node)) return;
    const type = checker.getTypeAtLocation(node);
    const parts = type.isUnion() ? type.types : [type];
    found[node.name.text] = [
      ...new Set(
        parts.flatMap((part) =>
          part.isStringLiteral()
            ? [part.value]
            : checker.getPropertiesOfType(part).flatMap(({ name }) => (/^(?:__|#)/.test(name) ? [] : [name])),
        ),
      ),
    ];
  });
  return found;
}
