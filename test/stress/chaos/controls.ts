import type { Control } from './proxy.js';
import type { Violations } from './violations.js';
import type { World } from './world.js';

/** One a second, but for what the way to the server made of it. */
const EVERY_MS = 1_000 - 100;

/** Control questions: one a second and process, one more after a hang-up, and none while the server answers. */
export function checkControls(
  verifier: number,
  controls: readonly Control[],
  world: World,
  violations: Violations,
): void {
  let hasRepeated = false;
  for (const [i, { at }] of controls.entries()) {
    const previous = controls[i - 1];
    const isSoon = previous !== undefined && at - previous.at < EVERY_MS;
    // An answer that is cut off is a hang-up, too, although the proxy has seen one.
    const mayRepeat = isSoon && !hasRepeated;
    if (isSoon && !mayRepeat && !world.isStalled(previous.at, at))
      violations.add(verifier, 'control: more than one a second', { at, after: at - previous.at });
    hasRepeated = isSoon;
    if (world.isCalm(verifier, at, at)) violations.add(verifier, 'control: asked while the server answers', { at });
  }
}
