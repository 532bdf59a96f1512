/** Says line by line what was checked, and keeps count of what did not hold. */
let held = 0;
const violations: string[] = [];

const seconds = (): string => `${process.uptime().toFixed(0).padStart(4)} s`;

/** Opens a scene of the rehearsal. */
export function scene(title: string): void {
  console.log(`${seconds()}  ${title}`);
}

/** Checks one sentence; when it does not hold, the rehearsal goes on and ends red. */
export function check(holds: boolean, sentence: string): void {
  console.log(`           ${holds ? 'ok  ' : 'NOT '} ${sentence.replaceAll(/\s+/g, ' ')}`);
  if (holds) held += 1;
  else violations.push(sentence);
}

/** Checks that two values are the same, and shows them when they are not. */
export function same(actual: unknown, expected: unknown, sentence: string): void {
  const [is, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  check(is === wanted, is === wanted ? sentence : `${sentence}: wanted ${wanted}, is ${is}`);
}

/** Prints the outcome; true when everything held. */
export function summary(): boolean {
  console.log(`${seconds()}  ${held} checks held, ${violations.length} did not`);
  for (const sentence of violations) console.log(`           NOT  ${sentence}`);
  return violations.length === 0 && held > 0;
}
