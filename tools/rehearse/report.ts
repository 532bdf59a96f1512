/** Prints every check and counts them. */
let passed = 0;
const violations: string[] = [];

const seconds = (): string => `${process.uptime().toFixed(0).padStart(4)} s`;

/** Prints the title of a scene. */
export function scene(title: string): void {
  console.log(`${seconds()}  ${title}`);
}

/** Records a check. After a failed one the rehearsal goes on, but exits with an error. */
export function check(holds: boolean, sentence: string): void {
  console.log(`           ${holds ? 'ok  ' : 'NOT '} ${sentence.replaceAll(/\s+/g, ' ')}`);
  if (holds) passed += 1;
  else violations.push(sentence);
}

/** Records a check that two values are equal, as JSON. */
export function same(actual: unknown, expected: unknown, sentence: string): void {
  const [is, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  check(is === wanted, is === wanted ? sentence : `${sentence}: expected ${wanted}, got ${is}`);
}

/** Prints the outcome. Returns whether all checks passed. */
export function summary(): boolean {
  console.log(`${seconds()}  ${passed} checks passed, ${violations.length} failed`);
  for (const sentence of violations) console.log(`           NOT  ${sentence}`);
  return violations.length === 0 && passed > 0;
}
