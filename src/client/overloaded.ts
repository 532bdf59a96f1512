import type { Deadline } from '../resilience/deadline.js';
import type { Transport } from '../transport/transport.js';

/** How long a transport may take to find out, in milliseconds. */
const MOST_MS = 250;

/** Whether this process may be why nothing got through until now. A transport that can't tell is no reason to open. */
export async function isOverloaded(transport: Transport, deadline: Deadline): Promise<boolean> {
  try {
    const asked = Promise.resolve(transport.isOverloaded?.(deadline.ms - deadline.leftMs) ?? false);
    return (await deadline.race(asked, MOST_MS)) !== false;
  } catch {
    return true;
  }
}
