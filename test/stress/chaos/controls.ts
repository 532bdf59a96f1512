import type { Control } from './proxy.js';
import type { Violations } from './violations.js';
import type { World } from './world.js';

/** One a second, but for what the way to the server made of it. */
const EVERY_MS = 1_000 - 100;

/**
 * Control questions: one a second and process, one more after a hang-up, and none while the server answers, but for the one that
 * finds out whether a congestion is over, or the two that confirm the end of an outage, where a caller was answered first.
 */
export function checkControls(
  verifier: number,
  controls: readonly Control[],
  world: World,
  violations: Violations,
): void {
  let firstAt = -Infinity;
  // An answer that is cut off is a hang-up, too, although the proxy has seen one, and may take a while to be cut off.
  let hasRepeated = false;
  let lastAt = -Infinity;
  let lastButOneAt = -Infinity;
  for (const { at } of controls) {
    if (at - firstAt >= EVERY_MS) {
      firstAt = at;
      hasRepeated = false;
    } else if (!hasRepeated) hasRepeated = true;
    else if (!world.isStalled(firstAt, at))
      violations.add(verifier, 'control: more than one a second', { at, after: at - firstAt });
    if (world.isCalm(verifier, lastButOneAt, at))
      violations.add(verifier, 'control: asked while the server answers', { at });
    lastButOneAt = lastAt;
    lastAt = at;
  }
}
