/** Formulas of §8.1 and §8.5, written down naively over whole tensors, against what is summed while records pass. */
import { describe, expect, test } from "bun:test";
import { EvalDiff } from "../../src/compare/eval-diff.ts";
import { brokenLimits, limitsFromText } from "../../src/compare/limits.ts";
import { PACKED, pack, sumsOf, Totals } from "../../src/compare/metrics.ts";
import { numbersOf } from "../../src/compare/numbers.ts";
import { topOf } from "../../src/compare/top.ts";
import { fourDigits, type VisqMetric, visqErrors, visqFile } from "../../src/compare/visq.ts";
import { sixDigits } from "../../src/drop-in/circle-eval-diff.ts";
import { generator } from "../kernels/oracle.ts";
import { naive } from "./naive.ts";

type Records = readonly (readonly [Float32Array, Float32Array])[];

const f32 = Math.fround;

function random(records: number, elements: number, seed: number): Records {
  const next = generator(seed);
  const value = () => f32((next() / 2 ** 32 - 0.4) * 10);
  return Array.from({ length: records }, () => {
    const a = Float32Array.from({ length: elements }, value);
    return [a, a.map((x) => x + value() / 50)] as const;
  });
}

const ZEROS: Records = [
  [Float32Array.of(0, 0, 1, -2), Float32Array.of(0, 0.5, 1, -1)],
  [Float32Array.of(3, 3, 3, 3), Float32Array.of(3, 2, 3, 4)],
];

const CASES: Readonly<Record<string, Records>> = {
  "one element": random(3, 1, 1),
  "four elements": random(5, 4, 2),
  "five elements": random(5, 5, 3),
  "many elements": random(4, 1000, 4),
  "zeros and a constant record": ZEROS,
  "equal tensors": random(2, 9, 5).map(([a]) => [a, a] as const),
  "all zero": [[new Float32Array(6), new Float32Array(6)]],
  "zero against something": [[new Float32Array(6), new Float32Array(6).fill(1)]],
};

function totalsOf(records: Records): Totals {
  const totals = new Totals(1);
  for (const [a, b] of records) {
    const packed = new Float64Array(PACKED);
    pack(packed, 0, sumsOf(a, b));
    totals.add(packed);
  }
  return totals;
}

const close = (value: number | null) => (value === null || !Number.isFinite(value) ? value : expect.closeTo(value, 9));

describe("compare", () => {
  for (const [name, records] of Object.entries(CASES)) {
    test(name, () => {
      const { tae, visqMpeir, ofRecords, ...rest } = naive(records);
      const expected = Object.fromEntries(Object.entries(rest).map(([metric, value]) => [metric, close(value)]));
      expect(totalsOf(records).metrics(0)).toEqual(expected as never);
      expect(totalsOf(records).visq(0, 0.25)).toEqual({
        mpeir: close(visqMpeir) as number,
        mse: close(rest.mse) as number,
        tae: close(tae) as number,
        srmse: close(Math.sqrt(rest.mse) / 0.25),
        records: { mse: ofRecords.mse.map(close), tae: ofRecords.tae.map(close) } as never,
      });
    });
  }

  test("NaN and infinities are counted, and metrics are no numbers then", () => {
    const totals = totalsOf([[Float32Array.of(1, Number.NaN, 3), Float32Array.of(1, 2, Number.POSITIVE_INFINITY)]]);
    expect(totals.metrics(0)).toMatchObject({ notFinite: 2, mae: Number.NaN, mpeir: Number.NaN, sqnr: Number.NaN });
  });
});

/** §8.1 to the letter, float32 after every operation. */
function evalOracle(records: Records) {
  const N = records.length;
  const E = records[0]![0].length;
  const perElement = (term: (a: number, b: number) => number) => {
    let total = 0;
    for (let e = 0; e < E; e++) {
      let sum = 0;
      for (const [a, b] of records) sum = f32(sum + term(a[e]!, b[e]!));
      total = f32(total + sum);
    }
    return f32(f32(total / E) / N);
  };
  const perRecord = (term: (a: Float32Array, b: Float32Array) => number) => {
    let sum = 0;
    for (const [a, b] of records) sum = f32(sum + f32(term(a, b)));
    return f32(sum / N);
  };
  const match = (k: number) =>
    E < k
      ? null
      : perRecord((a, b) => {
          const top = (of: Float32Array) => [...of.keys()].sort((i, j) => of[j]! - of[i]! || i - j).slice(0, k);
          return top(a).filter((i) => top(b).includes(i)).length / k;
        });
  const difference = (a: number, b: number) => f32(a - b);
  return {
    mae: perElement((a, b) => Math.abs(difference(a, b))),
    mse: perElement((a, b) => f32(difference(a, b) * difference(a, b))),
    mape: f32(perElement((a, b) => Math.abs(f32(difference(a, b) / a))) * 100),
    mpeir: perRecord((a, b) => {
      const interval = f32(Math.max(...a) - Math.min(...a));
      return Math.max(...a.map((x, i) => Math.abs(difference(x, b[i]!)))) / (interval === 0 ? 1 : interval);
    }),
    top1: match(1),
    top5: match(5),
  };
}

describe("circle-eval-diff, bit for bit", () => {
  for (const [name, records] of Object.entries(CASES)) {
    test(name, () => {
      const diff = new EvalDiff(records[0]![0].length);
      for (const [a, b] of records) diff.add(a, b);
      expect(diff.result()).toEqual(evalOracle(records));
    });
  }

  test("a zero in the first model makes MAPE infinite, or no number where the second is zero, too", () => {
    const diff = (a: number, b: number) => {
      const one = new EvalDiff(1);
      one.add([a], [b]);
      return one.result().mape;
    };
    expect(diff(0, 1)).toBe(Number.POSITIVE_INFINITY);
    expect(diff(0, 0)).toBeNaN();
  });

  test("numbers as C++ streams print them", () => {
    const texts: [number, string][] = [
      [0, "0"],
      [1, "1"],
      [0.1, "0.1"],
      [1234567, "1.23457e+06"],
      [123456.7, "123457"],
      [0.00001234, "1.234e-05"],
      [0.0001, "0.0001"],
      [1e-38, "1e-38"],
      [-2.5, "-2.5"],
      [Number.POSITIVE_INFINITY, "inf"],
      [Number.NaN, "nan"],
    ];
    for (const [value, text] of texts) expect(sixDigits(value)).toBe(text);
  });
});

test("top k: the largest first, the lower index among equals, never NaN", () => {
  expect(topOf([1, 3, 2, 3], 2)).toEqual([1, 3]);
  expect(topOf([5, 5, 5], 2)).toEqual([0, 1]);
  expect(topOf([Number.NaN, 1, Number.NaN, 2], 3)).toEqual([3, 1]);
  expect(topOf([-1, Number.NEGATIVE_INFINITY, -3], 3)).toEqual([0, 2, 1]);
  const next = generator(9);
  for (let i = 0; i < 50; i++) {
    const values = Array.from({ length: 40 }, () => next() % 11);
    const sorted = [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b);
    expect(topOf(values, 5)).toEqual(sorted.slice(0, 5));
  }
});

test("elements of every type as numbers, also where they are not aligned", () => {
  const bytes = Uint8Array.of(9, 0, 0, 128, 63, 0, 0, 0, 192, 9);
  expect([...Array.from(numbersOf(bytes.subarray(1, 9), "FLOAT32"))]).toEqual([1, -2]);
  expect(Array.from(numbersOf(Uint8Array.of(255, 255, 1, 0), "INT16"))).toEqual([-1, 1]);
  expect(Array.from(numbersOf(new Uint8Array(BigInt64Array.of(-5n, 7n).buffer), "INT64"))).toEqual([-5, 7]);
  expect(Array.from(numbersOf(Uint8Array.of(0, 1), "BOOL"))).toEqual([0, 1]);
});

describe("limits", () => {
  const metrics = totalsOf(CASES["five elements"]!).metrics(0);
  const output = (more: object = {}) => ({ name: "y", other: "y", shape: [5], metrics: { ...metrics, ...more } });

  test("are read from lists", () => {
    expect(limitsFromText("below", "sqnr=20, COSINE=0.9,top-1=0.5")).toEqual([
      { metric: "sqnr", limit: 20 },
      { metric: "cosine", limit: 0.9 },
      { metric: "top1", limit: 0.5 },
    ]);
  });

  for (const [text, message] of [
    ["sqnr", "METRIC=NUMBER"],
    ["sqnr=", "METRIC=NUMBER"],
    ["sqnr=much", "METRIC=NUMBER"],
    ["snr=3", "sqnr, cosine, top1, top5"],
    ["mae=0.1", "--fail-above mae=0.1"],
    ["sqnr=1,", "METRIC=NUMBER"],
  ] as const) {
    test(`"${text}" is refused`, () => expect(() => limitsFromText("below", text)).toThrow(message));
  }

  test("name output, metric, value and limit", () => {
    const limit = [{ metric: "sqnr", limit: 20 }] as const;
    expect(brokenLimits([output({ sqnr: 12.5 })], limit)).toEqual([
      'output "y": sqnr 12.5 dB is below the limit 20 dB',
    ]);
    expect(brokenLimits([output({ sqnr: 20 }), output({ sqnr: Number.POSITIVE_INFINITY })], limit)).toEqual([]);
    expect(brokenLimits([output({ mae: 0.2 })], [{ metric: "mae", limit: 0.1 }])).toEqual([
      'output "y": mae 0.2 is above the limit 0.1',
    ]);
  });

  test("are broken by what is no number, and cannot be held against nothing", () => {
    expect(brokenLimits([output({ mae: Number.NaN })], [{ metric: "mae", limit: 9 }])[0]).toContain("no number");
    expect(brokenLimits([output({ top5: null })], [{ metric: "top5", limit: 0.1 }])[0]).toContain("cannot be checked");
  });
});

describe("visq", () => {
  const layer = (name: string, error: number, dtype: string | null = "UINT8") => ({
    name,
    shape: [1],
    dtype,
    metrics: totalsOf(ZEROS).metrics(0),
    source: "RELU" as string | null,
    // Single samples are off by half and by twice as much.
    visq: {
      ...{ mpeir: error, mse: error, tae: error, srmse: error },
      records: { mse: [error / 2, error * 2] as const, tae: [error / 2, error * 2] as const },
    },
  });
  const fileOf = (layers: ReturnType<typeof layer>[], metric: VisqMetric) =>
    visqFile(visqErrors("models/face.tflite", layers, metric));

  test("has nine ranges that follow each other, and rounded errors of tensors that are rounded", () => {
    const input = { ...layer("in", 9), source: null };
    const file = fileOf([input, layer("a", 0.12345), layer("b", 2), layer("float", 9, null)], "tae");
    expect(file.error).toEqual([{ a: 0.1235, b: 2 }]);
    const { colorscheme, ...meta } = file.meta;
    expect(meta).toEqual({ model: "face.tflite", metric: "TAE" });
    expect(colorscheme).toHaveLength(9);
    // ColorBrewer's YlOrRd, as Graphviz has it as /ylorrd9/1 to /ylorrd9/9.
    const colours = "ffffcc ffeda0 fed976 feb24c fd8d3c fc4e2a e31a1c bd0026 800026".split(" ");
    expect(colorscheme.map(({ c }) => c)).toEqual(colours.map((colour) => `#${colour}`));
    // From half of a's error to twice b's, in nine steps; 4 digits.
    expect(colorscheme[0]!.b).toBe(0.0617);
    expect(colorscheme[0]!.e).toBe(0.4993);
    expect(colorscheme[8]!.e).toBe(4);
    for (let i = 1; i < 9; i++) expect(colorscheme[i]!.b).toBe(colorscheme[i - 1]!.e);
  });

  test("MPEIR's ranges are from 0 to 1, SRMSE's from 0 to the largest", () => {
    const range = (metric: VisqMetric) => {
      const { colorscheme } = fileOf([layer("a", 0.25), layer("b", 0.5)], metric).meta;
      return [colorscheme[0]!.b, colorscheme[8]!.e];
    };
    expect(range("mpeir")).toEqual([0, 1]);
    expect(range("srmse")).toEqual([0, 0.5]);
    expect(range("mse")).toEqual([0.125, 1]);
  });

  test("refuses errors without a range, and such that are no numbers", () => {
    expect(() => fileOf([layer("a", 0), layer("b", 0)], "mse")).toThrow("range of colours");
    expect(() => fileOf([layer("a", 0)], "srmse")).toThrow("range of colours");
    expect(() => fileOf([layer("a", Number.NaN), layer("b", 1)], "mse")).toThrow('"a"');
    expect(() => fileOf([layer("a", 1, null)], "mse")).toThrow("rounds none");
  });

  test("rounds to four digits as Python does", () => {
    const rounded: [number, number][] = [
      [0.03125, 0.0312],
      [0.09375, 0.0938],
      [0.00005, 0.0001],
      [1.00005, 1.0001],
      [2.5, 2.5],
      [0.12344999, 0.1234],
      [7, 7],
      [123.46875, 123.4688],
    ];
    for (const [value, expected] of rounded) expect(fourDigits(value)).toBe(expected);
  });
});
