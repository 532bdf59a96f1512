/** Whether this machine has an IPv6 address, on any of its interfaces; `true` where it may not find out. */
export function hasIPv6(): boolean {
  try {
    const interfaces = Object.values(process.getBuiltinModule('node:os').networkInterfaces());
    return interfaces.some((addresses = []) => addresses.some(({ family }) => family === 'IPv6'));
  } catch {
    return true;
  }
}
