/** Which samples set ranges, and which are held back. */
import { expect, test } from "bun:test";
import { placesOf, withRole } from "../../src/calibration/held-out.ts";
import { all, dataOf, floats, messageOf } from "../calibration/support.ts";

const records = (count: number) => dataOf(...Array.from({ length: count }, (_, i) => [floats(i)]));

test("halves alternate, as the prototypes' X[0::2] and X[1::2]", () => {
  expect(placesOf(8, { share: 0.5, take: "rest" })).toEqual([0, 2, 4, 6]);
  expect(placesOf(8, { share: 0.5, take: "held" })).toEqual([1, 3, 5, 7]);
  expect(placesOf(8, { share: 0.5, take: "search" })).toEqual([1, 5]);
  expect(placesOf(8, { share: 0.5, take: "check" })).toEqual([3, 7]);
});

test("every sample is in one part, whatever the share", () => {
  for (const share of [0.1, 0.25, 1 / 3, 0.5, 0.7, 0.99])
    for (let count = 1; count <= 40; count++) {
      const parts = (["rest", "search", "check"] as const).flatMap((take) => placesOf(count, { share, take }));
      expect(parts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
      // Never more than the share; binary fractions must not take one away (0.1 × 30 is below 3).
      const held = placesOf(count, { share, take: "held" }).length;
      expect(Math.abs(held - count * share)).toBeLessThan(1);
    }
  expect(placesOf(30, { share: 0.1, take: "held" })).toHaveLength(3);
});

test("gives those records, in their order, as often as asked", async () => {
  const data = withRole(records(8), { share: 0.25, take: "held" });
  expect(data.count).toBe(2);
  for (let i = 0; i < 2; i++) expect(await all(data)).toEqual([[floats(3)], [floats(7)]]);
});

test("too few samples", async () => {
  expect(await messageOf(() => withRole(records(1), { share: 0.5, take: "held" }))).toContain("too few samples");
  expect(await messageOf(() => withRole(records(2), { share: 0.5, take: "check" }))).toContain("give 4 or more");
});
