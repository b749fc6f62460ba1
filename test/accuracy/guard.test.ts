/** The guard of `best`: its rule by numbers, and that undoing leaves nothing behind: the bytes are those of a run without --accuracy. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { foldsOf, verdictOf } from "../../src/accuracy/guard.ts";
import { ACCURACY_LEVELS } from "../../src/accuracy/settings.ts";
import { quantize } from "../../src/driver/quantize.ts";
import { serializeModel } from "../../src/model/index.ts";
import { DEFAULT_SCHEME, SCHEMES } from "../../src/rules/schemes.ts";
import { everyRole } from "./equalize/models.ts";

/** Errors of one output by sample; the guard looks at sums alone. */
const output = (...sums: number[]) => ({ sqnr: 0, sums, signal: 0 });
/** By how much an error has to fall for so many dB. */
const by = (dB: number) => 10 ** (-dB / 10);

describe("the verdict", () => {
  test("every sample is measured once, by turns", () => {
    const [a, b] = foldsOf([0, 2, 3, 7, 9]);
    expect([...a!]).toEqual([0, 3, 9]);
    expect([...b!]).toEqual([2, 7]);
  });

  test("is made of both folds: gains of outputs over all samples, and a lower bound by samples", () => {
    // 6 dB and 0 dB, so 3 dB of each sample, without any doubt.
    const found = verdictOf(
      [
        [output(4, 8), output(1, 1)],
        [output(16, 4), output(2, 1)],
      ],
      [
        [output(1, 2), output(1, 1)],
        [output(4, 1), output(2, 1)],
      ],
    );
    expect(found.gains[0]!).toBeCloseTo(10 * Math.log10(4), 10);
    expect(found.gains[1]!).toBe(0);
    expect(found.mean).toBeCloseTo(5 * Math.log10(4), 10);
    expect(found.bound).toBeCloseTo(5 * Math.log10(4), 6);
    expect([found.samples, found.isGain, found.isClear]).toEqual([4, true, false]);
  });

  test("needs 1.5 dB, and samples that agree", () => {
    const of = (...gains: number[]) => verdictOf([[output(...gains.map(() => 1))]], [[output(...gains.map(by))]]);
    expect(of(1.4, 1.4, 1.4, 1.4).isGain).toBe(false);
    expect(of(1.6, 1.6, 1.6, 1.6).isGain).toBe(true);
    expect(of(3.9, 3.9, 3.9, 3.9).isClear).toBe(false);
    // By Student's t: mean 3, standard deviation √14, so 3 − 3.18 · √14 / 2 of four samples.
    const wide = of(-1, 1, 5, 7);
    expect(wide.bound).toBeCloseTo(3 - 3.18 * Math.sqrt(40 / 3 / 4), 6);
    expect(wide.isGain).toBe(false);
    expect(of(4.5, 5, 5.5, 5).isClear).toBe(true);
    // Two win, and none loses: they need not agree on how much.
    const some = of(-0.9, 9, 9, -0.5);
    expect(some.bound).toBeLessThan(0);
    expect(some.isGain).toBe(true);
    expect(of(-1.1, 9, 9, -0.5).isGain).toBe(false);
    // What is exact wins no more than 60 dB.
    expect(verdictOf([[output(1, 1)]], [[output(0, 0)]]).mean).toBe(120 / 2);
    expect(verdictOf([[output(1, 1)]], [[output(Number.NaN, 0)]]).isGain).toBe(false);
    expect(of(9).isGain).toBe(false);
  });

  test("what is hardly off is not held against what gains", () => {
    // Of a mean power of 1: three samples go from 80 to 74 dB, one from 20 to 60.
    const [few, more] = [
      [1e-8, 1e-8, 1e-8, 1e-2],
      [4e-8, 4e-8, 4e-8, 1e-6],
    ];
    const of = (signal: number) => verdictOf([[{ ...output(...few), signal }]], [[{ ...output(...more), signal }]]);
    // Without it: −6, −6, −6 and 40.
    expect(of(0).bound).toBeLessThan(-20);
    const gain = (before: number, after: number) => 10 * Math.log10((before + 1e-5) / (after + 1e-5));
    const each = few.map((value, i) => gain(value, more[i]!));
    const mean = each.reduce((a, b) => a + b, 0) / 4;
    const deviation = Math.sqrt(each.reduce((sum, one) => sum + (one - mean) ** 2, 0) / 3);
    expect(of(4).bound).toBeCloseTo(mean - (3.18 * deviation) / 2, 6);
  });
});

describe("a run that is undone", () => {
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "guard-"));
    writeFileSync(join(folder, "m.tflite"), await serializeModel(everyRole(), { dialect: "tflite" }));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  async function run(scheme: keyof typeof SCHEMES, level: keyof typeof ACCURACY_LEVELS, seed: number) {
    const output = join(folder, `${scheme}.${scheme === "uint8" ? "circle" : "tflite"}`);
    const report = await quantize({
      model: join(folder, "m.tflite"),
      output,
      ...(level !== "compat" && { accuracy: ACCURACY_LEVELS[level] }),
      options: { ...DEFAULT_SCHEME, scheme: SCHEMES[scheme] },
      samples: {
        sources: [{ location: `random:8:${seed}` }],
        reduction: { kind: "percentile", min: 1, max: 99 },
        workers: 1,
      },
    });
    const changes = report.subgraphs[0]!.tensors.flatMap((tensor) => tensor.changes ?? []);
    const noted = (code: string) => report.notes.find((note) => note.code === code);
    return { bytes: readFileSync(output), changes, noted, notes: report.notes };
  }

  // Random numbers as samples; with seed 1 all groups were evened out before that, with 0 biases were made.
  test.each([
    ["int8", 1],
    ["int8", 0],
    ["uint8", 1],
  ] as const)(
    "%s, seed %d: bytes as without --accuracy, nothing said of changes",
    async (scheme, seed) => {
      const [plain, best] = [await run(scheme, "compat", seed), await run(scheme, "best", seed)];
      const { text, numbers } = best.noted("accuracy-undone")!;
      expect(text).toContain("the result is that of --accuracy compat");
      expect(Math.min(numbers!.mean! - 1, numbers!.bound!)).toBeLessThan(0);
      if (scheme === "int8" && seed === 1) expect(best.noted("equalized")!.numbers!.groups).toBe(4);
      expect(best.noted("rounding")!.text).toEndWith("kept");
      expect(best.bytes.equals(plain.bytes)).toBe(true);
      expect(best.changes).toEqual([]);
      const said = best.notes.map(({ text: each }) => each);
      expect(new Set(said).size).toBe(said.length);
    },
    60_000,
  );

  test("int16x8: what gains clearly is kept", async () => {
    const best = await run("int16x8", "best", 0);
    expect(best.noted("accuracy-kept")!.numbers!.bound).toBeGreaterThan(0);
    expect(best.changes.length).toBeGreaterThan(0);
  }, 60_000);
});
