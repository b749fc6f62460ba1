/** Composites: left whole by name, or replaced by their decomposition's operators. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compareModels } from "../../src/compare/compare.ts";
import { openSide } from "../../src/compare/side.ts";
import { quantize } from "../../src/driver/quantize.ts";
import type { QuantizeSettings } from "../../src/driver/settings.ts";
import { type Model, nameOf, openModel, operatorName, TensorType, writeModel } from "../../src/model/index.ts";
import { DEFAULT_SCHEME } from "../../src/rules/schemes.ts";
import { bytesOf, dataOf, floats, folder, npy } from "../calibration/support.ts";
import { refusal } from "../passes/support.ts";
import { signature, tensorIn, withComposite } from "./models.ts";

let where: string;
beforeAll(() => {
  where = folder();
});
afterAll(() => rmSync(where, { recursive: true, force: true }));

const RECORDS = [
  [1, -2, 3, -4],
  [0.5, 8, -1, 0],
];
let made = 0;

async function quantized(model: Model, more: Partial<QuantizeSettings> = {}) {
  const [input, output, data] = ["tflite", "circle", "npy"].map((ending) => join(where, `${made}.${ending}`));
  made++;
  await writeModel(model, input!, { dialect: "tflite" });
  writeFileSync(data!, npy("<f4", [RECORDS.length, 1, 4], bytesOf(Float32Array.from(RECORDS.flat()))));
  const samples = { sources: [{ location: data! }], reduction: { kind: "minmax" as const }, workers: 1 };
  const report = await quantize({ model: input!, output: output!, samples, ...more });
  const opened = openModel(output!);
  return { report, opened, model: opened.model, input: input! };
}

const INLINE = { withSteps: ["inline-composite"], strict: true };
const operatorsOf = (model: Model, subgraph = 0) =>
  model.subgraphs![subgraph]!.operators!.map((operator) => operatorName(model, operator));
const dtypeOf = (model: Model, name: string) => nameOf(TensorType, tensorIn(model.subgraphs![0]!, name).type ?? 0);
const scaleOf = (model: Model, name: string) => tensorIn(model.subgraphs![0]!, name).quantization!.scale![0]!;

describe("left whole", () => {
  test("the composite and its decomposition are said, and stay as they are", async () => {
    const { report, model } = await quantized(withComposite());
    expect(report.notes.filter(({ kind }) => kind === "float").map(({ text }) => text)).toEqual([
      'subgraph 1 "scaled_impl": it is the decomposition of STABLEHLO_COMPOSITE "y"',
      'STABLEHLO_COMPOSITE "y": it is left whole ("test.scaled"); --prepare inline-composite puts its decomposition\'s operators in its place',
    ]);
    expect(operatorsOf(model)).toContain("STABLEHLO_COMPOSITE");
    expect(operatorsOf(model, 1)).toEqual(["MUL", "ADD"]);
    expect(dtypeOf(model, "z")).toBe("UINT8");
    expect(await refusal(() => quantized(withComposite(), { strict: true }))).toContain('STABLEHLO_COMPOSITE "y"');
  });
});

describe("inline-composite", () => {
  test("its operators are recorded and quantized, under its name, and the decomposition is gone", async () => {
    const { report, model } = await quantized(withComposite(), INLINE);
    expect(report.prepared.map(({ text }) => text)).toContain(
      "put decompositions in the place of 1 STABLEHLO_COMPOSITE",
    );
    expect(model.subgraphs).toHaveLength(1);
    expect(operatorsOf(model)).toEqual(["MUL", "ADD", "ABS"]);
    const doubled = RECORDS.flat().map((x) => 2 * x);
    const spread = (values: number[]) => (Math.max(...values, 0) - Math.min(...values, 0)) / 255;
    expect(dtypeOf(model, "y/half")).toBe("UINT8");
    expect(scaleOf(model, "y/half")).toBeCloseTo(spread(doubled), 6);
    expect(scaleOf(model, "y")).toBeCloseTo(spread(doubled.map((x) => x + 1)), 6);
    expect(scaleOf(model, "z")).toBeCloseTo(spread(doubled.map((x) => Math.abs(x + 1))), 6);
  });

  test("twice the same decomposition: each has its own tensors, and the numbers are those of the composite", async () => {
    const { model, opened, input } = await quantized(withComposite(true), INLINE);
    expect(operatorsOf(model)).toEqual(["MUL", "ADD", "MUL", "ADD", "ABS"]);
    const names = model.subgraphs![0]!.tensors!.map(({ name }) => name!);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain("y2/half");
    const sides = [await openSide(openModel(input)), await openSide(opened)] as const;
    const records = dataOf(...RECORDS.map((values) => [floats(...values)]));
    const { outputs } = await compareModels(sides, async () => records, { workers: 1 });
    // 8 bits of a full range are some 40 dB; another function would be near 0.
    expect(outputs[0]!.metrics.sqnr!).toBeGreaterThan(30);
  });

  test("a decomposition that a signature names stays, and numbers of subgraphs follow those that go", async () => {
    const kept = withComposite();
    kept.signatureDefs = [signature("impl", 1, [["a", 0]], [["b", 4]]), signature("main", 0, [["x", 0]], [["z", 3]])];
    const { model, report } = await quantized(kept, { ...INLINE, strict: false });
    expect(model.subgraphs).toHaveLength(2);
    expect(report.notes.filter(({ code }) => code === "called-subgraph").map(({ text }) => text)).toEqual([
      'subgraph 1 "scaled_impl" (signature "impl"): its operators were put in the place of what runs it, and it stays as it is',
    ]);
    const moved = withComposite();
    moved.subgraphs!.push({ ...moved.subgraphs![0]!, name: "copy" });
    moved.signatureDefs = [signature("main", 0, [["x", 0]], [["z", 3]]), signature("copy", 2, [["x", 0]], [["z", 3]])];
    const both = {
      samples: {
        sources: [{ location: "random:2" }, { signature: "copy", location: "random:3" }],
        reduction: { kind: "minmax" as const },
        workers: 1,
      },
    };
    const result = await quantized(moved, { ...INLINE, ...both });
    expect(result.model.subgraphs!.map(({ name }) => name)).toEqual(["main", "copy"]);
    expect(result.model.signatureDefs!.map(({ subgraphIndex }) => subgraphIndex ?? 0)).toEqual([0, 1]);
  });

  test("a setting of the composite is that of its operators", async () => {
    const layers = { given: ["y=int16"] };
    const { model } = await quantized(withComposite(), { ...INLINE, options: DEFAULT_SCHEME, layers });
    expect([dtypeOf(model, "y/half"), dtypeOf(model, "y"), dtypeOf(model, "z")]).toEqual(["INT16", "INT16", "UINT8"]);
  });

  test("what gives an operand back as it is is left whole, with the reason", async () => {
    const through = withComposite();
    const body = through.subgraphs![1]!;
    body.outputs = body.inputs!.slice();
    body.operators = [];
    const { report, model } = await quantized(through, { withSteps: ["inline-composite"] });
    expect(report.notes.filter(({ code }) => code === "composite-left-whole").map(({ text }) => text)).toEqual([
      'STABLEHLO_COMPOSITE "y": is left whole: its decomposition gives one tensor back twice, or one that it does not compute',
    ]);
    expect(operatorsOf(model)).toContain("STABLEHLO_COMPOSITE");
  });
});
