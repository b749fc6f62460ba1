/** How a limit is shared out: what else is held makes parts smaller, and only what is known beforehand makes a limit too small. */
import { expect, test } from "bun:test";
import { planParts } from "../../src/calibration/parts.ts";
import type { Slice } from "../../src/calibration/slices.ts";

const MB = 1e6;
/** A chain of slices with weights of 10 MB, which take 20 MB more when they are loaded. */
const slices = Array.from(
  { length: 12 },
  (_, i) =>
    ({
      ...{ inputs: [i], outputs: [i + 1], tensors: [], origins: ["A"], stored: 10 * MB, unpacked: 20 * MB },
      model: {},
    }) as unknown as Slice,
);
const plan = (limit: number, more: object = {}, gathered?: (tensor: number) => number) =>
  planParts(
    slices,
    { inputs: new Set([0]), bytes: () => 1000, records: 4, observer: 0, gathered },
    { limit: limit * MB, workers: 1, ...more },
  );

test("what is held leaves less room for models", () => {
  const whole = plan(700);
  expect(whole.parts.length).toBe(1);
  const some = plan(700, { held: 200 * MB });
  expect(some.parts.length).toBeGreaterThan(1);
  expect(plan(700, { alsoHeld: 200 * MB }).parts.length).toBe(some.parts.length);
  // What is gathered of each result counts with the slices that give it.
  expect(plan(700, {}, () => 30 * MB).parts.length).toBeGreaterThan(1);
});

test("a run that has begun is not refused for what it holds by now", () => {
  expect(() => plan(300, { held: 200 * MB })).toThrow("the smallest limit that does is");
  const { parts } = plan(300, { alsoHeld: 200 * MB });
  expect(parts.flatMap((part) => part.slices)).toEqual(slices);
  expect(parts.length).toBe(12);
});

test("without a limit nothing of that counts", () => {
  const unlimited = planParts(
    slices,
    { inputs: new Set([0]), bytes: () => 1000, records: 4, observer: 0 },
    { workers: 1, held: 1e15, alsoHeld: 1e15 },
  );
  expect(unlimited.parts.length).toBe(1);
});
