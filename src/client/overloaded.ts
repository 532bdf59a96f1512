import type { Transport } from '../transport/transport.js';

/** Whether this process may be why nothing gets through. A transport that can't tell is no reason to open. */
export async function isOverloaded(transport: Transport, waitedMs: number): Promise<boolean> {
  try {
    return (await transport.isOverloaded?.(waitedMs)) === true;
  } catch {
    return true;
  }
}
