import { describe, expect, test } from "bun:test";
import { checkReduction, movingAverage, percentile, reduce } from "../../src/calibration/reduce.ts";
import { QUANTIZERS } from "../../src/rules/schemes.ts";
import { messageOf } from "./support.ts";

const f = (...values: number[]) => Float32Array.from(values);

describe("percentile", () => {
  test("by hand", () => {
    expect(percentile(f(5), 37)).toBe(5);
    expect(percentile(f(3, 1, 2), 0)).toBe(1);
    expect(percentile(f(3, 1, 2), 100)).toBe(3);
    expect(percentile(f(3, 1, 2), 50)).toBe(2);
    expect(percentile(f(0, 10), 25)).toBe(2.5);
    // n = 11: index 0, percent 0.01 of the way to 0.1, so a tenth of the first step.
    expect(percentile(f(...Array.from({ length: 11 }, (_, i) => 10 * i)), 1)).toBeCloseTo(1, 5);
  });

  test("against the definition in float64", () => {
    const values = f(...Array.from({ length: 57 }, (_, i) => Math.sin(i * i) * 10));
    const sorted = [...values].sort((a, b) => a - b);
    for (const p of [0.5, 1, 7, 33.3, 50, 90, 99, 99.9]) {
      const place = (56 * p) / 100;
      const low = Math.floor(place);
      const exact = sorted[low]! + (place - low) * (sorted[low + 1]! - sorted[low]!);
      expect(Math.abs(percentile(values, p) - exact)).toBeLessThan(1e-4);
    }
  });

  test("the float32 steps show: 7 values, p = 1, as the reference's record-minmax wrote them", () => {
    // The product, the index and the fraction are float32; in float64 the last digit differs for some lists.
    const result = percentile(f(-1.1, 2.7, 0.3, 9.9, -7.3, 4.4, 6.1), 1);
    expect(Math.fround(result)).toBe(result);
  });

  test("equal and infinite neighbours give themselves, not NaN", () => {
    const inf = Number.POSITIVE_INFINITY;
    expect(percentile(f(-inf, -inf, 1), 1)).toBe(-inf);
    expect(percentile(f(2, 2, 2), 60)).toBe(2);
  });
});

describe("moving average", () => {
  /** §7.4 word for word. */
  function naive(values: Float32Array, kind: "min" | "max", batch: number, constant: number): number {
    const alpha = Math.fround(1 - constant);
    const batches: number[] = [];
    for (let i = 0; i < values.length; i += batch) batches.push(Math[kind](...values.slice(i, i + batch)));
    return batches.reduce((average, next) => Math.fround(Math.fround(average * alpha) + next * (1 - alpha)));
  }

  test("by hand: batches 2, constant 0.5", () => {
    expect(movingAverage(f(1, 2, 5, 3, 7), "max", 2, 0.5)).toBe(5.25);
    expect(movingAverage(f(1, 2, 5, 3, 7), "min", 2, 0.5)).toBe(4.5);
    expect(movingAverage(f(4), "min", 16, 0.1)).toBe(4);
  });

  test("any batch size, also where the reference's 8 bits end", () => {
    const values = f(...Array.from({ length: 1000 }, (_, i) => Math.cos(i) * 3));
    for (const batch of [1, 3, 16, 255, 256, 300, 1000, 5000]) {
      for (const kind of ["min", "max"] as const) {
        expect(movingAverage(values, kind, batch, 0.1)).toBe(naive(values, kind, batch, 0.1));
      }
    }
  });
});

test("min stays at or below max", () => {
  let seed = 1;
  const next = () => Math.sin(seed++ * 12.9898) * 100;
  for (let n = 1; n < 60; n++) {
    const mins = f(...Array.from({ length: n }, next));
    const maxs = mins.map((min) => min + Math.abs(next()) * (n % 3));
    for (const reduction of [
      { kind: "percentile", min: 1, max: 99 },
      { kind: "percentile", min: 50, max: 50 },
      { kind: "moving_average", batch: 4, constant: 0.1 },
      { kind: "minmax" },
    ] as const) {
      const { min, max } = reduce(mins, maxs, reduction);
      expect(min).toBeLessThanOrEqual(max);
    }
  }
});

test("minmax", () => {
  expect(reduce(f(1, -2, 3), f(4, 5, 3), { kind: "minmax" })).toEqual({ min: -2, max: 5 });
});

test("settings without a meaning", async () => {
  const refuse = (reduction: Parameters<typeof checkReduction>[0]) => messageOf(() => checkReduction(reduction));
  expect(await refuse({ kind: "percentile", min: -1, max: 99 })).toContain("min percentile is -1");
  expect(await refuse({ kind: "percentile", min: 1, max: Number.NaN })).toContain("max percentile is NaN");
  expect(await refuse({ kind: "percentile", min: 60, max: 40 })).toContain("above the max percentile");
  expect(await refuse({ kind: "percentile_all", min: 60, max: 40 })).toContain("above the max percentile");
  expect(await refuse({ kind: "percentile_all", min: 1, max: 101 })).toContain("max percentile is 101");
  expect(await refuse({ kind: "entropy", quantizer: QUANTIZERS.int16 })).toContain("choose mse or percentile_all");
  expect(await refuse({ kind: "moving_average", batch: 0, constant: 0.1 })).toContain("batch is 0");
  expect(await refuse({ kind: "moving_average", batch: 4, constant: 1.5 })).toContain("constant is 1.5");
});
