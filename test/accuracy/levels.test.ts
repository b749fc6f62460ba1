/** --accuracy and its single switches from options to file, on small models; LiteRT says what the results compute. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Entry, optionsOf } from "../../src/batch/job.ts";
import { quantizeWeights } from "../../src/commands/quantize-weights.ts";
import { SILENT } from "../../src/driver/io.ts";
import { record } from "../../src/driver/quantize.ts";
import { type Model, writeModel } from "../../src/model/index.ts";
import { quantizeBy } from "../../src/options/quantize.ts";
import type { OptionValues } from "../../src/options/values.ts";
import { WEIGHT_QUANTIZERS } from "../../src/rules/schemes.ts";
import { bytesOf } from "../calibration/support.ts";
import { model } from "../helpers/models.ts";
import { randomFloats } from "./support.ts";

const where = mkdtempSync(join(tmpdir(), "minmaxq-accuracy-"));
afterAll(() => rmSync(where, { recursive: true, force: true }));

const SHAPE = [1, 8, 8, 4];
const samples = join(where, "samples");
mkdirSync(samples);
// Far from 0 on average: then rounded weights move the result.
for (let i = 0; i < 6; i++)
  writeFileSync(join(samples, `${i}.bin`), bytesOf(randomFloats(256, 11 * i + 3).map((value) => value + 2)));

const CONV = { type: "Conv2DOptions", value: { strideH: 1, strideW: 1, padding: 0 } } as const;
const DEPTHWISE = {
  type: "DepthwiseConv2DOptions",
  value: { strideH: 1, strideW: 1, padding: 0, depthMultiplier: 1 },
} as const;

/** Two layers; the second one has no bias. */
const chain = (): Model =>
  model(["x"], ["z"], (graph) =>
    graph
      .tensor("x", SHAPE)
      .tensor("y", [1, 8, 8, 6])
      .tensor("z", [1, 8, 8, 6])
      .constant("w", [6, 3, 3, 4], randomFloats(216, 5))
      .constant("b", [6], randomFloats(6, 6))
      .constant("v", [1, 3, 3, 6], randomFloats(54, 7))
      .operator("CONV_2D", ["x", "w", "b"], ["y"], CONV)
      .operator("DEPTHWISE_CONV_2D", ["y", "v", ""], ["z"], DEPTHWISE),
  );

const path = join(where, "chain.tflite");
await writeModel({ ...chain(), version: 3 }, path, { dialect: "tflite" });

let number = 0;
async function quantized(entry: Entry) {
  const dialect = entry.scheme === "uint8" || entry.scheme === "int16" ? "circle" : "tflite";
  const output = join(where, `q${number++}.${dialect}`);
  const options = optionsOf({ model: path, output, data: samples, mode: "minmax", ...entry });
  const report = await quantizeBy(path, options, SILENT);
  const tensors = report.subgraphs[0]!.tensors;
  return { bytes: readFileSync(output), tensors, output, report };
}

/** What a bias stands for. */
async function sqnr(output: string): Promise<number> {
  const { openSide } = await import("../../src/compare/side.ts");
  const { compareModels } = await import("../../src/compare/compare.ts");
  const { openModel } = await import("../../src/model/index.ts");
  const { openDataSet } = await import("../../src/calibration/index.ts");
  const sides = [await openSide(openModel(path)), await openSide(openModel(output))] as const;
  const compared = await compareModels(sides, (inputs) => openDataSet(samples, inputs, {}), { workers: 1 });
  return compared.outputs[0]!.metrics.sqnr!;
}

describe("--accuracy", () => {
  for (const scheme of ["int8", "uint8", "int16", "int16x8"])
    test(`${scheme}: compat is what it is without; good is closer to the float model and says what it did`, async () => {
      const plain = await quantized({ scheme });
      expect((await quantized({ scheme, accuracy: "compat" })).bytes.equals(plain.bytes)).toBe(true);
      const good = await quantized({ scheme, accuracy: "good" });
      const corrected = good.tensors.filter(({ changes }) => changes?.some(({ by }) => by === "bias correction"));
      expect(corrected.length).toBe(2);
      expect(corrected[0]!.changes![0]!.because).toMatch(/^bias corrected by up to [\d.e-]+: input mean$/);
      expect(plain.tensors.some(({ changes }) => changes)).toBe(false);
      const widened = good.tensors.find(({ name }) => name === "y")!;
      const before = plain.tensors.find(({ name }) => name === "y")!;
      const factor = scheme.startsWith("int16") ? 2 : 1;
      expect(widened.scale![0]! / before.scale![0]!).toBeCloseTo(factor, 1);
      const because = widened.chain.map((link) => link.because);
      expect(because[0]).toBe("recorded (minimum and maximum of 6 samples)");
      expect(because.includes("recorded (minimum and maximum of 6 samples), ×2 for headroom")).toBe(factor === 2);
    });

  test("good on ranges of the file: headroom alone, and that is said", async () => {
    const recorded = join(where, "recorded.circle");
    await record({
      model: path,
      output: recorded,
      samples: { sources: [{ location: samples }], reduction: { kind: "minmax" } },
    });
    const scaleOf = async (more: Entry) => {
      const options = optionsOf({
        model: recorded,
        output: join(where, `q${number++}.circle`),
        scheme: "int16",
        ...more,
      });
      const report = await quantizeBy(recorded, options, SILENT);
      const said = report.notes.some(({ code }) => code === "accuracy-without-samples");
      return { said, scale: report.subgraphs[0]!.tensors.find(({ name }) => name === "y")!.scale![0]! };
    };
    const [plain, good] = [await scaleOf({}), await scaleOf({ accuracy: "good" })];
    expect([plain.said, good.said]).toEqual([false, true]);
    expect(good.scale / plain.scale).toBeCloseTo(2, 5);
  });

  test("is the same with any number of workers", async () => {
    const [one, two] = [1, 2].map((threads) => quantized({ scheme: "int8", accuracy: "good", "num-threads": threads }));
    expect((await one!).bytes.equals((await two!).bytes)).toBe(true);
  });

  for (const scheme of ["int8", "uint8", "int16x8"])
    test(`${scheme}: --rounding gptq says what each layer loses, and the result is closer to the float model`, async () => {
      const [one, two] = [1, 2].map((threads) =>
        quantized({ scheme, accuracy: "good", rounding: "gptq", "num-threads": threads }),
      );
      const found = await one!;
      expect(found.bytes.equals((await two!).bytes)).toBe(true);
      for (const name of ["w", "v"]) {
        const [change] = found.tensors.find((tensor) => tensor.name === name)!.changes!;
        expect(change!.because).toMatch(/^rounded by GPTQ: layer error [\d.e-]+ → [\d.e-]+$/);
        expect(change).toMatchObject({ by: "rounding" });
        if (change!.by === "rounding") expect(change!.after).toBeLessThan(change!.before);
      }
      const good = await quantized({ scheme, accuracy: "good" });
      // Scales are those of the largest values, as without.
      const scaleOf = (tensors: typeof good.tensors, name: string) => tensors.find((each) => each.name === name)!.scale;
      expect(scaleOf(found.tensors, "w")).toEqual(scaleOf(good.tensors, "w"));
      if (scheme === "int16x8") expect(await sqnr(found.output)).toBeGreaterThan((await sqnr(good.output)) + 1);
    });

  for (const scheme of ["int8", "uint8", "int16x8"])
    test(`${scheme}: best tries each step on samples that are held out, and leaves nothing behind`, async () => {
      const files = () =>
        readdirSync(tmpdir()).filter((name) => name.includes("minmaxq-trial") && name.includes(`.${process.pid}.`));
      const before = files();
      const [one, two] = [1, 2].map((threads) => quantized({ scheme, accuracy: "best", "num-threads": threads }));
      const best = await one!;
      expect(best.bytes.equals((await two!).bytes)).toBe(true);
      const steps = best.report.notes.filter(({ code }) =>
        ["bias-correction", "rounding", "sequential-correction"].includes(code),
      );
      expect(steps.length).toBeGreaterThanOrEqual(1);
      for (const { text } of steps) expect(text).toMatch(/ dB, on 6 samples, 2 of them held out; (kept|undone)$/);
      // What random numbers win in 8 bits may be chance, and is undone then; int8 weights of 16-bit activations win clearly.
      const plain = await quantized({ scheme });
      const codes = best.report.notes.map(({ code }) => code);
      const isKept = codes.includes("accuracy-kept");
      expect(codes.includes("accuracy-undone")).toBe(!isKept);
      if (scheme === "int16x8") expect(isKept).toBe(true);
      if (isKept) expect(await sqnr(best.output)).toBeGreaterThan(await sqnr(plain.output));
      else expect(best.bytes.equals(plain.bytes)).toBe(true);
      expect(files()).toEqual(before);
    });

  test("best of fewer than four samples tries nothing, and does what few samples bear", async () => {
    const few = join(where, "few");
    mkdirSync(few);
    for (let i = 0; i < 3; i++) writeFileSync(join(few, `${i}.bin`), readFileSync(join(samples, `${i}.bin`)));
    const { report, tensors } = await quantized({ scheme: "int16x8", accuracy: "best", data: few });
    expect(report.notes.filter(({ text }) => text.includes("held-out"))).toEqual([]);
    const done = tensors.flatMap(({ changes = [] }) => changes.map(({ by }) => by));
    expect(done).toContain("rounding");
    expect(done).toContain("bias correction");
  });

  for (const scheme of ["dynamic-int8", "dynamic-int4", "weights-int8", "weights-int4"])
    test(`${scheme}: with samples each level is closer to the float model`, async () => {
      const levels: Entry[] = [{}, { accuracy: "good", data: samples }, { accuracy: "best", data: samples }];
      const found: number[] = [];
      for (const level of levels)
        found.push(await sqnr((await quantized({ scheme, data: null, mode: null, ...level })).output));
      expect(found[1]!).toBeGreaterThan(found[0]!);
      // Hybrid kernels round activations, and what that adds is chance.
      expect(found[2]!).toBeGreaterThan(found[1]! - (scheme === "dynamic-int8" ? 2 : 0));
    });

  test("weights alone: best tries each step on samples that are held out, and says what it measured", async () => {
    const { report } = await quantized({ scheme: "weights-int4", data: samples, mode: null, accuracy: "best" });
    const tried = report.notes.filter(({ code }) => code === "rounding" || code === "bias-correction");
    expect(tried.map(({ text }) => text)).toEqual([
      expect.stringMatching(/^weights rounded by least squares: \+\d+\.\d dB, on 6 samples, 2 of them held out; kept$/),
    ]);
    const few = await quantized({ scheme: "weights-int4", data: samples, mode: null, accuracy: "good" });
    expect(few.report.notes.filter(({ code }) => code === "rounding" || code === "bias-correction")).toEqual([]);
  });

  test("weights-int4 without samples: best chooses smaller scales where they lose less", async () => {
    const { tensors } = await quantized({ scheme: "weights-int4", data: null, mode: null, accuracy: "best" });
    const changes = tensors.flatMap((tensor) => tensor.changes ?? []);
    expect(changes.map(({ by }) => by)).toContain("smaller scales");
    for (const change of changes) if (change.by === "rounding") expect(change.after).toBeLessThanOrEqual(change.before);
    expect(changes.some(({ by }) => by === "bias correction")).toBe(false);
  });

  test("--bias-correction alone, --range-margin alone", async () => {
    const plain = await quantized({ scheme: "int8" });
    const corrected = await quantized({ scheme: "int8", "bias-correction": true });
    expect(JSON.stringify(corrected.tensors.find(({ name }) => name === "y")!.chain)).not.toContain("headroom");
    expect(corrected.tensors.filter(({ changes }) => changes).length).toBe(2);
    expect(await sqnr(corrected.output)).toBeGreaterThan(await sqnr(plain.output));
    const margin = await quantized({ scheme: "int8", "range-margin": 1.5 });
    expect(margin.tensors.some(({ changes }) => changes)).toBe(false);
    const scales = [margin, plain].map(({ tensors }) => tensors.find(({ name }) => name === "z")!.scale![0]!);
    expect(scales[0]! / scales[1]!).toBeCloseTo(1.5, 5);
  });
});

describe("quantize-weights", () => {
  const silent = { print: () => {}, tell: () => {}, progress: () => () => {} };
  const run = async (more: Record<string, unknown>) => {
    const output = join(where, `w${number++}.circle`);
    const options = { output, weightDtype: WEIGHT_QUANTIZERS.int4, ...more } as unknown as OptionValues;
    await quantizeWeights.run([path], options, silent);
    return sqnr(output);
  };

  test("--accuracy: each level is closer to the float model", async () => {
    const data = [{ location: samples }];
    const plain = await run({});
    const good = await run({ data, accuracy: "good" });
    const best = await run({ data, accuracy: "best" });
    expect(good).toBeGreaterThan(plain);
    expect(best).toBeGreaterThan(good);
  });

  test("samples without a use for them are refused", () =>
    expect(run({ data: [{ location: samples }] })).rejects.toThrow("--accuracy good or best"));
});
