import { fieldOf } from '../../core/schema.js';

/** Whether this process can open another file or socket; `undefined` where it may not find out. */
export function canOpenDescriptor(): boolean | undefined {
  const { openSync, closeSync } = process.getBuiltinModule('node:fs');
  try {
    closeSync(openSync(process.getBuiltinModule('node:os').devNull, 'r'));
    return true;
  } catch (error) {
    const code = fieldOf(error, 'code');
    return code === 'EMFILE' || code === 'ENFILE' ? false : undefined;
  }
}
