/** Models with masks and pads through the compiled executable: recorded by LiteRT, quantized, compared with the float model. */
import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { serializeModel } from "../../src/model/index.ts";
import { bytesOf } from "../calibration/support.ts";
import { type GraphBuilder, model } from "../helpers/models.ts";
import { cleanUpAfterwards, folder, refused, succeeded } from "./support.ts";

cleanUpAfterwards();

const N = 8;
let cwd: string;

/** Between −4 and 4, the same at every run. */
const sample = (record: number, count: number) =>
  Float32Array.from({ length: count }, (_, i) => 4 * Math.sin(12.9898 * (i + 1) + 78.233 * record));

beforeAll(() => {
  cwd = folder();
  for (const [name, second, width = N] of [
    ["plain", undefined],
    ["attention", (record: number) => (i: number) => (i > 2 + (record % 5) ? 0 : 1), 2 * N],
    ["zero-one", (record: number) => (i: number) => (i > 2 + (record % 5) ? 0 : 1)],
    ["infinite", (record: number) => (i: number) => (i > 2 + (record % 5) ? -Infinity : 0)],
    ["lowest", (record: number) => (i: number) => (i > 2 + (record % 5) ? -3.4028234663852886e38 : 0)],
  ] as const) {
    mkdirSync(join(cwd, name));
    for (let record = 0; record < 8; record++) {
      const mask = second ? Float32Array.from({ length: N }, (_, i) => second(record)(i)) : new Float32Array();
      const bytes = Buffer.concat([bytesOf(sample(record, N * width)), bytesOf(mask)]);
      writeFileSync(join(cwd, name, `${record}.bin`), bytes);
    }
  }
});

interface Told {
  notes: { kind: string; code: string; tensor: string; numbers: Record<string, number> }[];
}

/** Quantizes and compares; gives the notes and the worst SQNR of the outputs. */
async function tried(path: string, data: string, dtype: string, more: string[] = []) {
  const out = join(cwd, "out.circle");
  const quantized = ["quantize", path, "--data", data, "--dtype", dtype, "--mode", "minmax", "--json", "--force"];
  const { out: text } = await succeeded([...quantized, ...more, "-o", out], { cwd });
  const compared = await succeeded(["compare", path, out, "--data", data, "--json"], { cwd });
  const { outputs } = JSON.parse(compared.out) as { outputs: { metrics: { sqnr: number } }[] };
  expect(outputs.length).toBeGreaterThan(0);
  return { notes: (JSON.parse(text) as Told).notes, sqnr: Math.min(...outputs.map(({ metrics }) => metrics.sqnr)) };
}

describe.each(["05-attention-masks", "30-infinite-mask"])("../shared/cases/%s", (name) => {
  const where = resolve("../shared/cases", name);
  const models =
    name === "30-infinite-mask"
      ? ["conformer"]
      : ["aeq_padv2_inf_max_pool_2d", "causal_m1e9", "causal_mbf16", "causal_mfmax", "selmask_minf"];
  for (const each of models) {
    const path = join(where, `${each}.tflite`);
    // Where the folder is not there, the report says that these were left out.
    test.skipIf(!existsSync(path)).each([
      ["uint8", 23],
      ["int16", 50],
    ] as const)(`${basename(path)} in %s`, async (dtype, least) => {
      const { notes, sqnr } = await tried(path, "random:4", dtype);
      expect(sqnr).toBeGreaterThan(least);
      expect(new Set(notes.map(({ kind, code }) => `${kind} ${code}`))).toEqual(new Set(["note mask-clipped"]));
      for (const { numbers } of notes) expect(Math.abs(numbers.low!)).toBeLessThan(200);
    });
  }
});

const ATTENTION = resolve("../shared/cases/05-attention-masks/attn_m1e9.tflite");
test.skipIf(!existsSync(ATTENTION)).each([
  ["uint8", 25],
  ["int16", 45],
] as const)("attn_m1e9.tflite in %s, with a mask of 0 and 1", async (dtype, least) => {
  const { notes, sqnr } = await tried(ATTENTION, "attention", dtype);
  expect(sqnr).toBeGreaterThan(least);
  expect(notes.map(({ tensor }) => tensor).sort()).toEqual(["add", "mul_1", "mul_1/y"]);
});

describe.each(["uint8", "int16"])("built here, %s", (dtype) => {
  const least = dtype === "uint8" ? 30 : 60;

  async function path(inputs: string[], fill: (graph: GraphBuilder) => void): Promise<string> {
    const made = model(inputs, ["p"], (graph) => {
      graph.tensor("x", [N, N]).tensor("p", [N, N]);
      for (const name of ["far", "masked", "held"]) graph.tensor(name, [N, N]);
      for (const name of ["m", "off", "row"]) graph.tensor(name, [1, N]);
      fill(graph);
    });
    const file = join(cwd, "in.tflite");
    writeFileSync(file, await serializeModel(made, { dialect: "tflite" }));
    return file;
  }
  const softmax = (graph: GraphBuilder, operand: string) =>
    graph.operator("SOFTMAX", [operand], ["p"], { type: "SoftmaxOptions", value: { beta: 1 } });
  const causal = (low: number) => Float32Array.from({ length: N * N }, (_, i) => (i % N > Math.floor(i / N) ? low : 0));

  test.each([-1e4, -1e9, -3.4028234663852886e38, -Infinity])("a causal mask of %d, added", async (low) => {
    const file = await path(["x"], (graph) =>
      softmax(graph.constant("c", [N, N], causal(low)).operator("ADD", ["x", "c"], ["masked"]), "masked"),
    );
    const { notes, sqnr } = await tried(file, "plain", dtype);
    expect(sqnr).toBeGreaterThan(least);
    expect(notes.map(({ tensor }) => tensor).sort()).toEqual(["c", "masked"]);
  });

  test("--mask-value: a person's own value; it has to be below 0", async () => {
    const file = await path(["x"], (graph) =>
      softmax(graph.constant("c", [N, N], causal(-1e9)).operator("ADD", ["x", "c"], ["masked"]), "masked"),
    );
    const { notes, sqnr } = await tried(file, "plain", dtype, ["--mask-value", "-40"]);
    expect(sqnr).toBeGreaterThan(least - 5);
    expect(notes.map(({ tensor, numbers }) => [tensor, numbers.low])).toEqual([
      ["c", -40],
      ["masked", -40],
    ]);
    const wrong = ["quantize", file, "--data", "plain", "--mask-value", "40", "-o", "wrong.circle"];
    await refused(wrong, { cwd }, 2, /a number below 0/);
  });

  test("held by a maximum, as some decoders do", async () => {
    const file = await path(["x"], (graph) =>
      softmax(
        graph
          .constant("c", [N, N], causal(-3.4028234663852886e38))
          .constant("lowest", [], Float32Array.of(-3.4028234663852886e38))
          .operator("ADD", ["x", "c"], ["masked"])
          .operator("MAXIMUM", ["masked", "lowest"], ["held"]),
        "held",
      ),
    );
    expect((await tried(file, "plain", dtype)).sqnr).toBeGreaterThan(least);
  });

  test.each([-1e4, -1e9, -3.4e38])("computed: (1 − m) · %d", async (low) => {
    const file = await path(["x", "m"], (graph) =>
      softmax(
        graph
          .constant("one", [], Float32Array.of(1))
          .constant("c", [], Float32Array.of(low))
          .operator("SUB", ["one", "m"], ["off"])
          .operator("MUL", ["off", "c"], ["row"])
          .operator("ADD", ["x", "row"], ["masked"]),
        "masked",
      ),
    );
    const { notes, sqnr } = await tried(file, "zero-one", dtype);
    expect(sqnr).toBeGreaterThan(least);
    expect(notes.map(({ tensor }) => tensor).sort()).toEqual(["c", "masked", "row"]);
  });

  // Ranges pass −FLT_MAX over: that it was there comes from the samples.
  test.each(["infinite", "lowest"])("an input of 0 and %s that is added", async (additive) => {
    const file = await path(["x", "m"], (graph) => softmax(graph.operator("ADD", ["x", "m"], ["masked"]), "masked"));
    expect((await tried(file, additive, dtype)).sqnr).toBeGreaterThan(least);
  });

  test("LOG_SOFTMAX, and EXP of that", async () => {
    const file = await path(["x"], (graph) =>
      graph
        .constant("c", [N, N], causal(-1e9))
        .operator("ADD", ["x", "c"], ["masked"])
        .operator("LOG_SOFTMAX", ["masked"], ["held"])
        .operator("EXP", ["held"], ["p"]),
    );
    const { notes, sqnr } = await tried(file, "plain", dtype);
    expect(sqnr).toBeGreaterThan(dtype === "uint8" ? 20 : 60);
    expect(notes.map(({ tensor }) => tensor).sort()).toEqual(["c", "held", "masked"]);
  });

  test("decomposed: EXP of what is less than the row's maximum", async () => {
    const made = model(["x"], ["p"], (graph) => {
      for (const name of ["x", "masked", "less", "power", "p"]) graph.tensor(name, [N, N]);
      for (const name of ["most", "sum"]) graph.tensor(name, [N, 1]);
      const keep = { type: "ReducerOptions", value: { keepDims: true } } as const;
      graph
        .constant("c", [N, N], causal(-Infinity))
        .constant("axis", [1], Int32Array.of(1))
        .operator("ADD", ["x", "c"], ["masked"])
        .operator("REDUCE_MAX", ["masked", "axis"], ["most"], keep)
        .operator("SUB", ["masked", "most"], ["less"])
        .operator("EXP", ["less"], ["power"])
        .operator("SUM", ["power", "axis"], ["sum"], keep)
        .operator("DIV", ["power", "sum"], ["p"]);
    });
    const file = join(cwd, "decomposed.tflite");
    writeFileSync(file, await serializeModel(made, { dialect: "tflite" }));
    expect((await tried(file, "plain", dtype)).sqnr).toBeGreaterThan(dtype === "uint8" ? 25 : 60);
  });
});
