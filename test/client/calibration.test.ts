import { expect, test } from 'vitest';

import { Calibration } from '../../src/client/calibration.js';

test('pauses double while control questions fail, and start over once one is answered', () => {
  const calibration = new Calibration();
  expect(calibration.isDue(0, true)).toBe(false);
  calibration.isNeeded = true;
  const due = (from: number): number => {
    let mono = from;
    while (!calibration.isDue(mono, false)) mono++;
    return mono;
  };
  expect([due(0), due(1), due(1), due(1)]).toEqual([0, 1_000, 3_000, 7_000]);
  expect(calibration.isDue(7_500, true)).toBe(true);
  expect([due(7_500), due(7_500)]).toEqual([8_500, 10_500]);
});
