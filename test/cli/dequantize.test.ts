/** `minmaxq dequantize` and `requantize` by the executable: a real model there and back, what is refused, models of other converters. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { generateModel } from "../../scripts/generate-model.ts";
import { readRange } from "../../src/model/bytes.ts";
import { type Model, nameOf, openModel, TensorType, writeModel } from "../../src/model/index.ts";
import { model, quantized, quantizedAs } from "../helpers/models.ts";
import { cleanUpAfterwards, environment, executable, folder, peakMemory, REAL, refused, succeeded } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const f32 = Math.fround;

const ARRAYS = {
  FLOAT32: Float32Array,
  UINT8: Uint8Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
} as const;

interface Fact {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly scale: readonly number[];
  readonly zeroPoint: readonly number[];
  readonly axis: number;
  readonly values: readonly number[] | null;
}

/** Tensors of a file by name. */
function facts(name: string): Map<string, Fact> {
  const opened = openModel(join(cwd, name));
  const { model: file } = opened;
  const found = new Map(
    file.subgraphs![0]!.tensors!.map((tensor): [string, Fact] => {
      const dtype = nameOf(TensorType, tensor.type ?? 0)!;
      const content = file.buffers![tensor.buffer ?? 0]?.data;
      const bytes = content && "source" in content && content.length > 0 ? readRange(content) : null;
      const { scale = [], zeroPoint = [], quantizedDimension: axis = 0 } = tensor.quantization ?? {};
      const values = bytes && [...new ARRAYS[dtype as keyof typeof ARRAYS](bytes.buffer as ArrayBuffer)].map(Number);
      const shape = [...(tensor.shape ?? [])];
      return [tensor.name!, { dtype, shape, scale: [...scale], zeroPoint: [...zeroPoint].map(Number), axis, values }];
    }),
  );
  opened.close();
  return found;
}

/** The floats that integers stand for, naively. */
function floatsOf({ shape, scale, zeroPoint, axis, values }: Fact): number[] {
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  return values!.map((q, i) => {
    const channel = scale.length > 1 ? Math.floor(i / inner) % scale.length : 0;
    return f32(f32(q - zeroPoint[channel]!) * scale[channel]!);
  });
}

describe.each([
  ["uint8", "channel"],
  ["uint8", "layer"],
  ["int16", "channel"],
])("a real model, %s per %s", (dtype, granularity) => {
  const options = ["--dtype", dtype, "--granularity", granularity];

  test("floats are those that the integers stand for; quantized anew, they are the same integers", async () => {
    const run = (...args: string[]) => succeeded([...args, "--force"], { cwd });
    await run("quantize", REAL, "--data", "random:2", ...options, "-o", "q.circle");
    const { out } = await run("dequantize", "q.circle", "--keep-ranges", "--strict", "-o", "f.circle");
    expect(out).toContain("f.circle: 74 activations and 74 constants to float32");
    const [before, float] = [facts("q.circle"), facts("f.circle")];
    let constants = 0;
    for (const [name, fact] of before) {
      if (fact.scale.length === 0) continue;
      expect(float.get(name)).toMatchObject({ dtype: "FLOAT32", scale: [], zeroPoint: [] });
      if (!fact.values) continue;
      constants++;
      expect(float.get(name)!.values).toEqual(floatsOf(fact));
    }
    expect(constants).toBe(74);

    await run("quantize", "f.circle", ...options, "-o", "again.circle");
    const again = facts("again.circle");
    let [all, same] = [0, 0];
    for (const [name, { dtype: type, zeroPoint, values, scale }] of before) {
      if (scale.length === 0) continue;
      const now = again.get(name)!;
      expect(now.dtype).toBe(type);
      if (!values) {
        expect(now.zeroPoint).toEqual(zeroPoint);
        expect(Math.abs(now.scale[0]! / scale[0]! - 1)).toBeLessThan(2 ** -22);
        continue;
      }
      values.forEach((q, i) => {
        const apart = Math.abs(q - now.values![i]!);
        all++;
        if (apart === 0) same++;
        // float32 keeps 24 bits of an int64 bias. A channel without both of its extreme integers gets a smaller scale (docs/dequantize.md).
        if (type === "INT64") expect(apart).toBeLessThanOrEqual(Math.abs(q) * 2 ** -22);
        else if (type === "INT16" || granularity === "layer") expect(apart).toBe(0);
        else if (type === "UINT8") expect(apart).toBeLessThanOrEqual(1);
      });
    }
    expect(same / all).toBeGreaterThan(0.995);
  });
});

test("requantize to int8 and back gives the same tensors", async () => {
  const made = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 2], "INT8", quantized(0.01, 3))
      .constant("w", [2, 2], Int8Array.of(-128, -1, 0, 127), quantizedAs("INT8", [0.5, 0.25], [0, 0]))
      .tensor("y", [1, 2], "INT8", quantized(0.02, -128))
      .operator("FULLY_CONNECTED", ["x", "w"], ["y"], { type: "FullyConnectedOptions", value: {} }),
  );
  await save(made, "i.tflite");
  expect((await succeeded(["requantize", "i.tflite", "-o", "u.tflite"], { cwd })).out).toContain(
    "3 tensors from int8 to uint8",
  );
  expect(facts("u.tflite").get("w")!.values).toEqual([0, 127, 128, 255]);
  const { out } = await succeeded(["requantize", "u.tflite", "--to-dtype", "int8", "-o", "i2.tflite"], { cwd });
  expect(out).toContain("3 tensors from uint8 to int8");
  expect(facts("i2.tflite")).toEqual(facts("i.tflite"));
  await refused(["requantize", "i.tflite", "--to-dtype", "int8", "-o", "x.tflite"], { cwd }, 1, "no uint8 activations");
});

describe("what cannot be dequantized", () => {
  const custom = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [2], "INT8", quantized(0.5, 3))
      .tensor("a", [2], "INT8", quantized(0.25, -1))
      .tensor("y", [2], "INT8", quantized(0.75, 5))
      .operator("ADD", ["x", "x"], ["a"], { type: "AddOptions", value: {} })
      .operator("CUSTOM", ["a"], ["y"], undefined, "Secret"),
  );
  const reason = 'CUSTOM:Secret "y": stays quantized: what a custom operator makes of integers is not in the file';

  test("is said, and refused with --strict, which writes nothing", async () => {
    await save(custom, "custom.tflite");
    const { out } = await succeeded(["dequantize", "custom.tflite", "-o", "custom.f.tflite"], { cwd });
    expect(out).toContain("2 activations and 0 constants to float32, 1 operator stays quantized");
    expect(out).toContain(`kept: ${reason}`);
    const strict = ["dequantize", "custom.tflite", "--strict", "-o", "strict.tflite"];
    await refused(strict, { cwd }, 1, "has 1 operator that cannot be dequantized; leave out --strict", "Secret");
    expect(existsSync(join(cwd, "strict.tflite"))).toBe(false);
  });

  test("a float model has nothing to do", async () => {
    await refused(["dequantize", REAL, "-o", "x.tflite"], { cwd }, 1, "has nothing quantized; there is nothing to do");
  });
});

async function save(made: Model, name: string): Promise<void> {
  await writeModel({ ...made, version: 3 }, join(cwd, name), {
    dialect: name.endsWith("circle") ? "circle" : "tflite",
  });
}

test.skipIf(process.platform !== "linux")("memory does not grow with the model", async () => {
  await generateModel(400e6, join(cwd, "big.circle"), true);
  await succeeded(["quantize", "big.circle", "-o", "big.q.circle"], { cwd });
  rmSync(join(cwd, "big.circle"));
  const command = [executable(), "dequantize", "big.q.circle", "-o", "big.f.circle"];
  const child = Bun.spawn(command, { cwd, env: environment(), stdout: "ignore", stderr: "pipe" });
  const peak = await peakMemory(child);
  expect(await child.exited).toBe(0);
  for (const name of ["big.q.circle", "big.f.circle"]) rmSync(join(cwd, name));
  expect(peak / 1e6).toBeGreaterThan(20);
  expect(peak / 1e6).toBeLessThan(200);
});

const CASES = resolve(import.meta.dir, "../../../shared/cases");

if (existsSync(CASES)) {
  const caseFile = (number: string, name: string) =>
    join(CASES, readdirSync(CASES).find((each) => each.startsWith(`${number}-`))!, `${name}.tflite`);

  describe("models of other converters become float ones that LiteRT runs", () => {
    test.each([
      ["08", "int8floatio", "5 activations and 6 constants to float32, 2 QUANTIZE or DEQUANTIZE removed"],
      ["08", "aeq_partly_quantized_mnist", "1 activation and 3 constants to float32, 2 QUANTIZE or DEQUANTIZE removed"],
      ["09", "dynrange", "0 activations and 1 constant to float32"],
      ["20", "fc_blockwise_int4", "0 activations and 1 constant to float32"],
      ["21", "segmentation_weights_only", "0 activations and 15 constants to float32"],
      ["22", "person_detect", "32 activations and 56 constants to float32"],
      ["23", "streaming_vad", "23 activations and 20 constants to float32, 1 QUANTIZE or DEQUANTIZE removed"],
      ["24", "movenet_ptq", "125 activations and 156 constants to float32, 12 QUANTIZE or DEQUANTIZE removed"],
      ["25", "weights_only_lstm", "0 activations and 5 constants to float32"],
      ["26", "conv_int16x8", "2 activations and 2 constants to float32"],
      ["27", "mnist_int8", "7 activations and 8 constants to float32"],
      ["32", "keyword_spotting", "0 activations and 5 constants to float32"],
    ])("%s %s", async (number, name, done) => {
      const args = ["dequantize", caseFile(number, name), "--strict", "-o", "case.tflite", "--force"];
      expect((await succeeded(args, { cwd })).out).toContain(done);
      const types = new Set([...facts("case.tflite").values()].map(({ dtype, scale }) => `${dtype} ${scale.length}`));
      expect([...types].filter((type) => !type.endsWith(" 0"))).toEqual([]);
      expect([...types].filter((type) => /^U?INT(8|16|4) /.test(type))).toEqual(
        name === "movenet_ptq" ? ["UINT8 0"] : [],
      );
      await succeeded(["record", "case.tflite", "--data", "random:1", "-o", "recorded.circle", "--force"], { cwd });
    });
  });
} else {
  console.log("../shared/cases is not there: the tests on its models are skipped");
  test.skip("cases", () => {});
}
