import type * as Undici from 'undici';

interface CommonJsModule {
  readonly require?: (name: 'undici') => typeof Undici;
}

// Only a name here: there is none in an ES module.
declare const module: CommonJsModule | undefined;

/** Not at import: undici takes longer to load than all the rest. */
export async function loadUndici(
  commonJs: CommonJsModule | false = typeof module === 'object' && module,
): Promise<typeof Undici> {
  try {
    return await import('undici');
  } catch (error) {
    // In the VM that Jest runs CommonJS in, `import()` fails.
    if (commonJs === false || commonJs.require === undefined) throw error;
    return commonJs.require('undici');
  }
}
