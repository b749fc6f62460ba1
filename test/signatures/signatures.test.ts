/** Samples by signature: every subgraph that has some is recorded and quantized, through LiteRT. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Reduction } from "../../src/calibration/index.ts";
import { quantize, record } from "../../src/driver/quantize.ts";
import type { Report } from "../../src/driver/report.ts";
import type { QuantizeSettings, SampleSource, Samples } from "../../src/driver/settings.ts";
import { rangeOf, readRange } from "../../src/model/bytes.ts";
import { type Model, nameOf, openModel, TensorType, writeModel } from "../../src/model/index.ts";
import { bytesOf, folder, npy } from "../calibration/support.ts";
import { withIf } from "../cli/models.ts";
import { refusal } from "../passes/support.ts";
import { encodeDecode, extremes, projected, rangeIn, signature, tensorIn, withVariable } from "./models.ts";

let where: string;
beforeAll(() => {
  where = folder();
});
afterAll(() => rmSync(where, { recursive: true, force: true }));

let made = 0;
const fresh = (ending: string) => join(where, `${made++}.${ending}`);

async function written(model: Model): Promise<string> {
  const path = fresh("tflite");
  await writeModel(model, path, { dialect: "tflite" });
  return path;
}

/** Records of four floats as an .npy file. */
function samplesFile(records: readonly (readonly number[])[]): string {
  const path = fresh("npy");
  writeFileSync(path, npy("<f4", [records.length, 1, 4], bytesOf(Float32Array.from(records.flat()))));
  return path;
}

const MINMAX: Reduction = { kind: "minmax" };
const samples = (sources: readonly SampleSource[], more: Partial<Samples> = {}): Samples => ({
  sources,
  reduction: MINMAX,
  workers: 1,
  ...more,
});

interface Result {
  readonly model: Model;
  readonly path: string;
  readonly report: Report;
}

async function recorded(model: Model, given: Samples): Promise<Result> {
  const output = fresh("tflite");
  const report = await record({ model: await written(model), output, samples: given });
  return opened(output, report);
}

async function quantized(model: Model, more: Partial<QuantizeSettings>): Promise<Result> {
  const output = fresh("circle");
  const report = await quantize({ model: await written(model), output, ...more });
  return opened(output, report);
}

/** Read again; the file stays open until the process ends, which these tests survive. */
function opened(path: string, report: Report): Result {
  return { model: openModel(path).model, path, report };
}

const dtypeIn = (model: Model, subgraph: number, name: string) =>
  nameOf(TensorType, tensorIn(model.subgraphs![subgraph]!, name).type ?? 0);
const floatNotes = ({ report }: Result) => report.notes.filter(({ kind }) => kind === "float");

/** Whole and half numbers: every product and sum is exact in float32. */
const A = [
  [1, 2, -3, 0.5],
  [0, -1, 4, 2],
];
const B = [
  [10, -20, 0, 8],
  [4, 4, -4, 16],
  [-1, 0, 0, 2],
];

describe("record", () => {
  test("each signature's subgraph gets the ranges of its own samples", async () => {
    const { model, report } = await recorded(
      encodeDecode(),
      samples([
        { signature: "decode", location: samplesFile(B) },
        { signature: "encode", location: samplesFile(A) },
      ]),
    );
    const [encode, decode] = model.subgraphs!;
    expect(rangeIn(encode!, "e_in")).toEqual(extremes(A));
    expect(rangeIn(encode!, "e_out")).toEqual(extremes(A.map((x) => projected(x))));
    expect(rangeIn(decode!, "d_in")).toEqual(extremes(B));
    expect(rangeIn(decode!, "d_mid")).toEqual(extremes(B.map((x) => projected(x))));
    expect(rangeIn(decode!, "d_out")).toEqual(extremes(B.map((x) => projected(x).map(Math.abs))));
    expect(rangeIn(decode!, "w")).toBeUndefined();
    expect(report.rangesWritten).toBe(5);
    expect(report.ranges).toEqual({
      source: "samples",
      how: "minimum and maximum",
      samples: 5,
      random: false,
      bySignature: [
        { subgraph: 0, signature: "encode", samples: 2, random: false },
        { subgraph: 1, signature: "decode", samples: 3, random: false },
      ],
    });
  });

  test("samples without a name are the first subgraph's, and those of one signature leave the other alone", async () => {
    const unnamed = await recorded(encodeDecode(), samples([{ location: samplesFile(A) }]));
    expect(rangeIn(unnamed.model.subgraphs![0]!, "e_in")).toEqual(extremes(A));
    expect(rangeIn(unnamed.model.subgraphs![1]!, "d_in")).toBeUndefined();
    const named = await recorded(encodeDecode(), samples([{ signature: "decode", location: samplesFile(B) }]));
    expect(rangeIn(named.model.subgraphs![0]!, "e_in")).toBeUndefined();
    expect(rangeIn(named.model.subgraphs![1]!, "d_in")).toEqual(extremes(B));
  });

  test("two signatures of one subgraph: a range of all samples, whatever each calls the inputs", async () => {
    const two = encodeDecode();
    two.signatureDefs!.push(signature("again", 0, [["picture", 0]], [["features", 2]]));
    const { model } = await recorded(
      two,
      samples([
        { signature: "again", location: samplesFile(B) },
        { signature: "encode", location: samplesFile(A) },
      ]),
    );
    expect(rangeIn(model.subgraphs![0]!, "e_in")).toEqual(extremes([...A, ...B]));
    expect(rangeIn(model.subgraphs![0]!, "e_out")).toEqual(extremes([...A, ...B].map((x) => projected(x))));
  });

  test.each(["percentile", "percentile_all", "moving_average"] as const)(
    "%s: the same bits with any number of workers and in any order of --data",
    async (kind) => {
      const reduction: Reduction =
        kind === "moving_average" ? { kind, batch: 2, constant: 0.1 } : { kind, min: 10, max: 90 };
      const [a, b] = [samplesFile([...A, ...B]), samplesFile([...B, ...A])];
      const sources = [
        { signature: "encode", location: a },
        { signature: "decode", location: b },
      ];
      const path = await written(encodeDecode());
      const bytes: string[] = [];
      for (const [workers, given] of [
        [1, sources],
        [2, sources],
        [2, [...sources].reverse()],
      ] as const) {
        const output = fresh("tflite");
        await record({ model: path, output, samples: samples(given, { reduction, workers }) });
        bytes.push(readFileSync(output).toString("base64"));
      }
      expect(bytes[1]).toBe(bytes[0]!);
      expect(bytes[2]).toBe(bytes[0]!);
    },
  );

  test("a shape for an input of every signature, or of one", async () => {
    const open = encodeDecode();
    for (const graph of open.subgraphs!) graph.tensors![0]!.shapeSignature = Int32Array.of(-1, 4);
    const random = ["encode", "decode"].map((name) => ({ signature: name, location: "random:2" }));
    const inputShapes = [{ name: "decode/x", shape: [3, 4] }];
    const both = [{ name: "x", shape: [2, 4] }];
    await recorded(open, samples(random, { inputShapes }));
    await recorded(open, samples(random, { inputShapes: both }));
    const wrong = () => recorded(open, samples(random, { inputShapes: [{ name: "nope", shape: [1, 4] }] }));
    expect(await refusal(wrong)).toBe(
      '--input-shape: the model has no input "nope"; its inputs are "encode/x", "decode/x"',
    );
  });
});

describe("quantize", () => {
  const both = () =>
    samples([
      { signature: "encode", location: samplesFile(A) },
      { signature: "decode", location: samplesFile(B) },
    ]);

  test("both signatures are quantized, and their shared weights are in the file once", async () => {
    const result = await quantized(encodeDecode(), { samples: both(), strict: true });
    const { model, report } = result;
    expect(floatNotes(result)).toEqual([]);
    for (const [subgraph, name] of [
      [0, "e_in"],
      [0, "e_out"],
      [1, "d_in"],
      [1, "d_mid"],
      [1, "d_out"],
    ] as const)
      expect(dtypeIn(model, subgraph, name)).toBe("UINT8");
    const weights = model.subgraphs!.map((graph) => tensorIn(graph, "w"));
    expect(weights[0]!.buffer).toBe(weights[1]!.buffer!);
    expect([...weights[0]!.quantization!.scale!]).toEqual([...weights[1]!.quantization!.scale!]);
    // The scale of B's inputs, which reach from −20 to 16, in 255 steps.
    expect(tensorIn(model.subgraphs![1]!, "d_in").quantization!.scale![0]!).toBeCloseTo(36 / 255, 6);
    expect(tensorIn(model.subgraphs![0]!, "e_in").quantization!.scale![0]!).toBeCloseTo(7 / 255, 6);
    expect(model.signatureDefs!.map(({ signatureKey, subgraphIndex }) => [signatureKey, subgraphIndex ?? 0])).toEqual([
      ["encode", 0],
      ["decode", 1],
    ]);
    expect(report.counts.activations).toBe(5);
  });

  test("float16 weights that are shared stay shared", async () => {
    const half = encodeDecode();
    // 1, −2, ½, ¼, −1, 3, 2, ⅛ as float16, behind a DEQUANTIZE in either subgraph.
    const bits = Uint16Array.of(0x3c00, 0xc000, 0x3800, 0x3400, 0xbc00, 0x4200, 0x4000, 0x3000);
    const buffer = half.subgraphs![0]!.tensors!.find(({ name }) => name === "w")!.buffer!;
    half.buffers![buffer] = { data: rangeOf(new Uint8Array(bits.buffer)) };
    half.operatorCodes!.push({ builtinCode: 6, version: 1 });
    for (const graph of half.subgraphs!) {
      const at = graph.tensors!.findIndex(({ name }) => name === "w");
      graph.tensors![at]!.type = TensorType.FLOAT16;
      const float = graph.tensors!.push({ name: "w32", shape: Int32Array.of(2, 4), type: TensorType.FLOAT32 }) - 1;
      graph.operators![0]!.inputs![1] = float;
      graph.operators!.unshift({
        opcodeIndex: half.operatorCodes!.length - 1,
        inputs: Int32Array.of(at),
        outputs: Int32Array.of(float),
        builtinOptions: { type: "DequantizeOptions", value: {} },
      });
    }
    const { model } = await quantized(half, { samples: both() });
    const weights = model.subgraphs!.map((graph) => tensorIn(graph, "w32"));
    expect(weights.map(({ type }) => type)).toEqual([TensorType.UINT8, TensorType.UINT8]);
    expect(weights[0]!.buffer).toBe(weights[1]!.buffer!);
  });

  test("a signature without samples stays float and says what to do; with --strict that is an error", async () => {
    const given = { samples: samples([{ location: samplesFile(A) }]) };
    const result = await quantized(encodeDecode(), given);
    const said = 'subgraph 1 "decoder" (signature "decode"): it has no samples; give --data decode=SAMPLES';
    expect(floatNotes(result).map(({ text }) => text)).toEqual([said]);
    expect(dtypeIn(result.model, 0, "e_out")).toBe("UINT8");
    expect(dtypeIn(result.model, 1, "d_out")).toBe("FLOAT32");
    // The float signature keeps the weights as they were.
    const { buffer } = tensorIn(result.model.subgraphs![1]!, "w");
    const bytes = result.model.buffers![buffer!]!.data;
    expect(bytes && "source" in bytes && [...new Float32Array(readRange(bytes).slice().buffer)]).toEqual([
      1, -2, 0.5, 0.25, -1, 3, 2, 0.125,
    ]);
    expect(await refusal(() => quantized(encodeDecode(), { ...given, strict: true }))).toContain(said);
  });

  test("without samples: the subgraphs that were recorded", async () => {
    const all = await recorded(encodeDecode(), both());
    const every = await quantized(all.model, {});
    expect(floatNotes(every)).toEqual([]);
    const decode = await recorded(encodeDecode(), samples([{ signature: "decode", location: samplesFile(B) }]));
    const one = await quantized(decode.model, {});
    expect(floatNotes(one).map(({ text }) => text)).toEqual([
      `subgraph 0 "encoder" (signature "encode"): it has no recorded ranges; record it, too, with 'minmaxq record --data encode=SAMPLES'`,
    ]);
    expect(dtypeIn(one.model, 0, "e_out")).toBe("FLOAT32");
    expect(dtypeIn(one.model, 1, "d_out")).toBe("UINT8");
  });

  test("subgraphs that control flow runs stay float, said", async () => {
    const builder = withIf();
    const result = await quantized(builder, { samples: samples([{ location: "random:4" }]) });
    expect(floatNotes(result).flatMap(({ code, text }) => (code === "called-subgraph" ? [text] : []))).toEqual([
      "subgraph 1: control flow runs it",
      "subgraph 2: control flow runs it",
    ]);
  });
});

describe("a variable of two signatures", () => {
  const only = (name: string) => samples([{ signature: name, location: samplesFile(A) }]);

  test("a signature that reads what only the other one assigns stays float, with a reason", async () => {
    const given = samples([
      { signature: "fill", location: samplesFile(A) },
      { signature: "use", location: samplesFile(B) },
    ]);
    const result = await quantized(withVariable(), { samples: given });
    const notes = floatNotes(result).filter(({ code }) => code === "foreign-state");
    expect(notes.map(({ subgraph }) => subgraph)).toEqual([1]);
    expect(notes[0]!.text).toStartWith(
      'subgraph 1 (signature "use"): it reads the variable "cache", which only subgraph 0',
    );
    expect(dtypeIn(result.model, 0, "y")).toBe("UINT8");
    expect(dtypeIn(result.model, 1, "y")).toBe("FLOAT32");
    expect(await refusal(() => quantized(withVariable(), { samples: only("use") }))).toContain('the variable "cache"');
    expect(await refusal(() => recorded(withVariable(), only("use")))).toContain(
      'subgraph 1 (signature "use") cannot be recorded: it reads the variable "cache"',
    );
  });

  test("a signature that assigns it as well is recorded with its own values, with a warning", async () => {
    const { report, model } = await quantized(withVariable(true), { samples: only("use") });
    expect(report.notes.filter(({ code }) => code === "shared-state").map(({ subgraph }) => subgraph)).toEqual([1]);
    expect(dtypeIn(model, 1, "y")).toBe("UINT8");
    // x + x.
    const [low, high] = extremes(A).map((value) => 2 * value) as [number, number];
    expect(tensorIn(model.subgraphs![1]!, "y").quantization!.scale![0]!).toBeCloseTo((high - low) / 255, 6);
  });
});

describe("names that are wrong", () => {
  const refused = (model: Model, sources: readonly SampleSource[]) => refusal(() => recorded(model, samples(sources)));

  test("of no signature", async () => {
    expect(await refused(encodeDecode(), [{ signature: "decod", location: "random" }])).toBe(
      '--data decod=random: the model has no signature "decod"; did you mean "decode"? It has "encode", "decode"; and there is no file "decod=random"',
    );
    const none = { ...encodeDecode(), signatureDefs: undefined };
    expect(await refused(none, [{ signature: "decode", location: "random" }])).toBe(
      '--data decode=random: the model has no signatures, and no "decode"; leave the name out; and there is no file "decode=random"',
    );
  });

  test("the default one twice", async () => {
    const twice = [{ location: "random:1" }, { signature: "encode", location: "random:2" }];
    expect(await refused(encodeDecode(), twice)).toContain('are both for the signature "encode"');
  });

  test("no default", async () => {
    const model = encodeDecode();
    model.signatureDefs = [signature("a", 1, [["x", 0]], [["z", 3]]), signature("b", 1, [["x", 0]], [["z", 3]])];
    expect(await refused(model, [{ location: "random" }])).toBe(
      '--data random: the model has 2 signatures, and none is of its first subgraph, which is the default; say which one the samples are for, as in --data a=random (it has "a", "b")',
    );
    // The only one is meant.
    model.signatureDefs.pop();
    const { model: only } = await recorded(model, samples([{ location: samplesFile(B) }]));
    expect(rangeIn(only.subgraphs![1]!, "d_in")).toEqual(extremes(B));
  });
});
