/** percentile_all, entropy and mse against oracles that keep all values. */
import { describe, expect, test } from "bun:test";
import { distributionOf } from "../../src/calibration/distribution.ts";
import { divergences, magnitudes } from "../../src/calibration/entropy.ts";
import { type Histogram, Histograms } from "../../src/calibration/histogram.ts";
import { squaredError } from "../../src/calibration/mse.ts";
import { type Range, reduceValues, type ValueReduction } from "../../src/calibration/reduce.ts";
import { QUANTIZERS, schemeWith } from "../../src/rules/schemes.ts";
import { loadKernels } from "../../src/weights/kernels.ts";
import { floats } from "../kernels/data.ts";
import * as oracle from "./value-oracle.ts";

const { draw, laplace, normal } = oracle;

function histogramOf(values: Float32Array): Histogram {
  const { stream } = loadKernels();
  const block = stream.copyIn(values);
  const histograms = new Histograms(stream, 1);
  histograms.add(0, block);
  return histograms.of(0);
}

const extremes = (values: Float32Array): [Float32Array, Float32Array] => {
  const counted = oracle.valuesThatCount(values);
  return [Float32Array.of(Math.min(...counted)), Float32Array.of(Math.max(...counted))];
};

function rangeOf(values: Float32Array, reduction: ValueReduction): Range | undefined {
  return reduceValues(histogramOf(values), ...extremes(values), reduction);
}

const ENTROPY: ValueReduction = { kind: "entropy", quantizer: QUANTIZERS.uint8 };
const MSE8: ValueReduction = { kind: "mse", quantizer: QUANTIZERS.uint8 };
const MSE16: ValueReduction = { kind: "mse", quantizer: QUANTIZERS.int16 };
const all = (min: number, max: number): ValueReduction => ({ kind: "percentile_all", min, max });

/** Distributions as activations have them, and worse ones. */
const SHAPES: Record<string, Float32Array> = {
  normal: draw(20_000, 1, normal),
  laplace: draw(20_000, 2, laplace),
  relu: draw(20_000, 3, (u) => Math.max(0, normal(u))),
  gelu: draw(20_000, 4, (u) => {
    const x = 3 * normal(u);
    return x / (1 + Math.exp(-1.702 * x));
  }),
  "heavy tail": draw(20_000, 5, (u) => laplace(u) ** 3),
  shifted: draw(20_000, 6, (u) => 5 + normal(u) / 4),
  negative: draw(20_000, 7, (u) => -Math.abs(laplace(u))),
  lopsided: draw(20_000, 8, (u) => (u() < 0.9 ? -0.1 * u() : 8 * u() ** 4)),
  "one outlier": Float32Array.of(...draw(5000, 9, normal), 1e9),
  "outliers on both sides": Float32Array.of(...draw(5000, 10, normal), 300, -4000),
  few: Float32Array.of(-1, 0.25, 3),
  tiny: draw(2000, 11, (u) => 1e-30 * normal(u)),
  huge: draw(2000, 12, (u) => 1e37 * Math.tanh(normal(u))),
};

const CONSTANT: Record<string, [Float32Array, Range]> = {
  zeros: [new Float32Array(100), { min: 0, max: 0 }],
  "one value": [new Float32Array(77).fill(3.7), { min: Math.fround(3.7), max: Math.fround(3.7) }],
  "one negative value": [new Float32Array(77).fill(-2e-7), { min: Math.fround(-2e-7), max: Math.fround(-2e-7) }],
  "a single element": [Float32Array.of(5), { min: 5, max: 5 }],
};

describe("constant tensors keep their value in every mode", () => {
  for (const [name, [values, wanted]] of Object.entries(CONSTANT)) {
    test(name, () => {
      for (const reduction of [all(0.01, 99.99), all(50, 50), ENTROPY, MSE8, MSE16])
        expect(rangeOf(values, reduction)).toEqual(wanted);
    });
  }
});

describe("percentile_all", () => {
  const PERCENTILES = [0, 0.001, 0.01, 0.1, 1, 5, 25, 37.5, 50, 75, 99, 99.9, 99.99, 99.999, 100];

  test("within the width of the neighbours' bins; extremes are exact", () => {
    for (const values of [...Object.values(SHAPES), floats("ordinary", 999, 1), floats("ties", 1000, 2)]) {
      const counted = oracle.valuesThatCount(values).sort((a, b) => a - b);
      const histogram = histogramOf(values);
      for (const p of PERCENTILES) {
        const { value, neighbours } = oracle.percentile(counted, p);
        const found = reduceValues(histogram, ...extremes(values), all(p, p))!;
        expect(found.min).toBe(found.max);
        if (p === 0 || p === 100) expect(found.min).toBe(value);
        const allowed = Math.max(...neighbours.map(oracle.binWidth)) + Math.abs(value) * 2 ** -24;
        expect(Math.abs(found.min - value)).toBeLessThanOrEqual(allowed);
      }
    }
  });

  test("by hand: exact where bins hold one number each", () => {
    expect(rangeOf(Float32Array.of(0, 0, 0, 0, 8), all(0, 75))).toEqual({ min: 0, max: 0 });
    expect(rangeOf(Float32Array.of(0, 8), all(25, 100))).toEqual({ min: 2, max: 8 });
    expect(rangeOf(Float32Array.of(-4, 0, 0, 6), all(0, 100))).toEqual({ min: -4, max: 6 });
  });

  test("NaN and -FLT_MAX are passed over; infinities are values like others", () => {
    const inf = Number.POSITIVE_INFINITY;
    const values = Float32Array.of(Number.NaN, -3.4028234663852886e38, 1, 2, 3, inf, Number.NaN);
    expect(rangeOf(values, all(0, 100))).toEqual({ min: 1, max: inf });
    const within = rangeOf(values, all(0, 66.6))!;
    expect(within.max).toBeGreaterThan(2.9);
    expect(within.max).toBeLessThanOrEqual(3.003);
    expect(rangeOf(Float32Array.of(-inf, -inf, 1, 2), all(25, 100))).toEqual({ min: -inf, max: 2 });
  });
});

describe("entropy", () => {
  /** How many levels magnitudes up to `limit` have when the rest of [min, max] is clipped there. */
  const levelsOf = (min: number, max: number, limit: number) => {
    const width = Math.max(0, Math.min(max, limit)) - Math.min(0, Math.max(min, -limit));
    return Math.floor((256 * limit) / width);
  };

  test("running totals give the divergence of the definition", () => {
    const histograms = [
      ...Object.values(SHAPES).map((values) => oracle.magnitudeHistogram(oracle.valuesThatCount(values))),
      Array.from({ length: 2048 }, (_, i) => (i % 3 === 0 ? 0 : 1000 - (i % 700))),
    ];
    for (const bins of histograms) {
      const fast = divergences(Float64Array.from(bins));
      for (const size of [128, 129, 255, 256, 300, 511, 1000, 1777, 2047, 2048]) {
        for (const levels of [128, 200, 256].filter((l) => l <= size)) {
          const wanted = oracle.divergence(bins, size, levels);
          const found = fast(size, levels);
          if (Number.isFinite(wanted)) expect(Math.abs(found - wanted)).toBeLessThanOrEqual(1e-9 * Math.max(1, wanted));
          else expect(found).toBe(wanted);
        }
      }
    }
  });

  for (const [name, values] of Object.entries(SHAPES)) {
    test(`the least divergence of all thresholds: ${name}`, () => {
      const counted = oracle.valuesThatCount(values);
      const [min, max] = [Math.min(...counted), Math.max(...counted)];
      const largest = Math.max(-min, max);
      const found = rangeOf(values, ENTROPY)!;
      const limit = Math.max(-found.min, found.max);
      // By all values, and by what the streaming histogram makes of them.
      const ours = Array.from(magnitudes(distributionOf(histogramOf(values), min, max), largest));
      const size = Math.round((limit / largest) * 2048);
      let best = Number.POSITIVE_INFINITY;
      for (let bins = 128; bins <= 2048; bins += name === "normal" ? 7 : 29) {
        const levels = levelsOf(min, max, (largest * bins) / 2048);
        if (bins >= levels) best = Math.min(best, oracle.divergence(ours, bins, levels));
      }
      const at = (bins: number[]) => oracle.divergence(bins, size, levelsOf(min, max, (largest * size) / 2048));
      expect(at(ours)).toBeLessThanOrEqual(best + 1e-9);
      expect(found.min).toBe(Math.max(min, -limit));
      expect(found.max).toBe(Math.min(max, limit));
    });
  }

  test("each bin of magnitudes is off by no more than what lies in the streaming bins at its edges", () => {
    for (const values of [SHAPES.normal!, SHAPES.relu!, SHAPES["heavy tail"]!, SHAPES.shifted!]) {
      const counted = oracle.valuesThatCount(values);
      const [min, max] = [Math.min(...counted), Math.max(...counted)];
      const largest = Math.max(-min, max);
      const ours = magnitudes(distributionOf(histogramOf(values), min, max), largest);
      const exact = oracle.magnitudeHistogram(counted);
      const sorted = counted
        .map(Math.abs)
        .filter((v) => v > 0)
        .sort((a, b) => a - b);
      let [low, high, sumOfOurs, sumOfExact] = [0, 0, 0, 0];
      for (let bin = 0; bin < 2048; bin++) {
        sumOfOurs += ours[bin]!;
        sumOfExact += exact[bin]!;
        const edge = ((bin + 1) / 2048) * largest;
        while (low < sorted.length && sorted[low]! < edge - oracle.binWidth(edge)) low++;
        while (high < sorted.length && sorted[high]! <= edge + oracle.binWidth(edge)) high++;
        expect(Math.abs(sumOfOurs - sumOfExact)).toBeLessThanOrEqual(high - low + 1e-6);
      }
      expect(sumOfOurs).toBeCloseTo(sorted.length, 5);
    }
  });

  test("an infinite value is an outlier; nothing but those has no range", () => {
    const inf = Number.POSITIVE_INFINITY;
    const values = Float32Array.of(...SHAPES.normal!, inf, -inf);
    const found = rangeOf(values, ENTROPY)!;
    expect(found.max).toBeLessThanOrEqual(Math.max(...SHAPES.normal!.map(Math.abs)) * 1.001);
    expect(rangeOf(Float32Array.of(inf, inf), ENTROPY)).toBeUndefined();
  });
});

describe("mse", () => {
  for (const dtype of ["UINT8", "INT16"] as const) {
    const quantizer = schemeWith("one", dtype)!.activation;
    const reduction: ValueReduction = { kind: "mse", quantizer };

    test(`${dtype}: the integral is the values' own error`, () => {
      for (const name of ["normal", "laplace", "relu", "gelu", "heavy tail", "shifted", "lopsided"]) {
        const values = SHAPES[name]!;
        const counted = oracle.valuesThatCount(values);
        const [mins, maxs] = extremes(values);
        const distribution = distributionOf(histogramOf(values), mins[0]!, maxs[0]!);
        for (const factor of [1, 0.7, 0.31]) {
          const range = { min: Math.fround(mins[0]! * factor), max: Math.fround(maxs[0]! * factor) };
          const wanted = oracle.meanSquaredError(counted, range, dtype);
          const found = squaredError(distribution, range, quantizer) / counted.length;
          expect(Math.abs(found / wanted - 1)).toBeLessThan(0.03);
        }
      }
    });

    for (const [name, values] of Object.entries(SHAPES)) {
      test(`${dtype}: no range of a full search is noticeably better: ${name}`, () => {
        const counted = oracle.valuesThatCount(values).slice(-4000);
        const part = Float32Array.from(counted);
        const found = rangeOf(part, reduction)!;
        const [[min], [max]] = extremes(part) as [Float32Array, Float32Array];
        expect(found.min).toBeGreaterThanOrEqual(min!);
        expect(found.max).toBeLessThanOrEqual(max!);
        const error = oracle.meanSquaredError(counted, found, dtype);
        const factors = Array.from({ length: 14 }, (_, i) => 2 ** (-i / 5));
        const more = name.includes("outlier") ? [1e-2, 3e-3, 1e-3, 1e-8, 3e-9] : [];
        for (const a of dtype === "UINT8" && min! < 0 ? [...factors, ...more] : [1]) {
          for (const b of max! > 0 ? [...factors, ...more] : [1]) {
            const range = { min: Math.fround(min! * (dtype === "INT16" ? b : a)), max: Math.fround(max! * b) };
            if (range.max < range.min) continue;
            expect(error).toBeLessThanOrEqual(oracle.meanSquaredError(counted, range, dtype) * 1.03 + 1e-300);
          }
        }
      });
    }
  }

  test("infinite values are outliers; nothing but those has no range", () => {
    const inf = Number.POSITIVE_INFINITY;
    const with2 = Float32Array.of(...SHAPES.normal!, inf, -inf);
    expect(rangeOf(with2, MSE8)!.max).toBeCloseTo(rangeOf(SHAPES.normal!, MSE8)!.max, 1);
    expect(rangeOf(Float32Array.of(-inf, inf), MSE8)).toBeUndefined();
  });
});
