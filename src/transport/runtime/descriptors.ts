/** Whether this process can open another file or socket; `undefined` where it may not find out. */
export function canOpenDescriptor(): boolean | undefined {
  const { openSync, closeSync } = process.getBuiltinModule('node:fs');
  try {
    closeSync(openSync(process.getBuiltinModule('node:os').devNull, 'r'));
    return true;
  } catch (error) {
    const code: unknown = Reflect.get(Object(error), 'code');
    return code === 'EMFILE' || code === 'ENFILE' ? false : undefined;
  }
}
