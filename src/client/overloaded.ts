import type { Deadline } from '../resilience/deadline.js';
import type { Transport } from '../transport/transport.js';

/** Whether this process may be why nothing got through until now. A transport that can't tell is no reason to open. */
export async function isOverloaded(transport: Transport, { ms, leftMs }: Deadline): Promise<boolean> {
  try {
    return (await transport.isOverloaded?.(ms - leftMs)) === true;
  } catch {
    return true;
  }
}
