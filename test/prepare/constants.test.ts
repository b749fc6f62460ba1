/** Constant folding: what is folded, what stays, and that the numbers are those of the runtime. */

import { describe, expect, test } from "bun:test";
import {
  ActivationFunctionType,
  type BuiltinOptions,
  type Model,
  operatorTexts,
  TensorType,
} from "../../src/model/index.ts";
import { GraphBuilder, ModelBuilder, model, quantized } from "../helpers/models.ts";
import { bytesOf, floatsOf, largestDifference, numbers, only, opened, prepared } from "./support.ts";

const full: BuiltinOptions = { type: "FullyConnectedOptions", value: {} };
const add: BuiltinOptions = { type: "AddOptions", value: {} };
const mul: BuiltinOptions = { type: "MulOptions", value: {} };
const { RELU } = ActivationFunctionType;

/**
 * Folds constants only, and compares every float tensor that is left: bit by bit, but for operators that LiteRT computes by
 * other code when their weights are constants (a sum of a few products in another order).
 */
async function check(of: Model, within = 0) {
  const got = await prepared(await opened(of), only("fold-constants"));
  expect(await largestDifference(got)).toBeLessThanOrEqual(within);
  return { ...got, operators: operatorTexts(got.after) };
}

describe("floats", () => {
  test("transposed weights, computed biases, a chain of both kinds", async () => {
    const { operators, said, after } = await check(
      model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", [2, 3])
          .constant("v", [3, 1, 4], numbers(12))
          .constant("shape", [2], Int32Array.of(3, 4))
          .constant("perm", [2], Int32Array.of(1, 0))
          .tensor("flat", [3, 4])
          .tensor("w", [4, 3])
          .constant("p", [4], numbers(4, 5))
          .constant("q", [1], Float32Array.of(0.3))
          .tensor("b", [4])
          .tensor("y", [2, 4])
          .operator("RESHAPE", ["v", "shape"], ["flat"])
          .operator("TRANSPOSE", ["flat", "perm"], ["w"])
          .operator("ADD", ["p", "q"], ["b"], { type: "AddOptions", value: { fusedActivationFunction: RELU } })
          .operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"], full),
      ),
      1e-6,
    );
    expect(operators).toEqual(["FULLY_CONNECTED(x, w, b) -> y"]);
    expect(said).toEqual(["folded constants (1 RESHAPE, 1 TRANSPOSE, 1 ADD)"]);
    const v = numbers(12);
    expect(await floatsOf(after, "w")).toEqual([0, 1, 2, 3].flatMap((o) => [0, 1, 2].map((i) => v[i * 4 + o]!)));
    expect(await floatsOf(after, "b")).toEqual(
      Array.from(numbers(4, 5), (p) => Math.fround(Math.max(0, Math.fround(p + Math.fround(0.3))))),
    );
  });

  test("a batch-norm that is still computed: mean, variance, gamma, beta", async () => {
    const got = await prepared(
      await opened(
        model(["x"], ["y"], (graph) => {
          graph.tensor("x", [1, 3]).constant("w", [4, 3], numbers(12));
          for (const [i, name] of ["mean", "gamma", "beta"].entries()) graph.constant(name, [4], numbers(4, 3 + i));
          graph.constant("variance", [4], Float32Array.of(1, 0.5, 2, 0.01)).constant("eps", [], Float32Array.of(1e-3));
          for (const name of ["v", "r", "g", "n", "m", "o"]) graph.tensor(name, [4]);
          for (const name of ["a", "b", "y"]) graph.tensor(name, [1, 4]);
          graph
            .operator("ADD", ["variance", "eps"], ["v"], add)
            .operator("RSQRT", ["v"], ["r"])
            .operator("MUL", ["r", "gamma"], ["g"], mul)
            .operator("MUL", ["mean", "g"], ["m"], mul)
            .operator("SUB", ["beta", "m"], ["o"], { type: "SubOptions", value: {} })
            .operator("FULLY_CONNECTED", ["x", "w"], ["a"], full)
            .operator("MUL", ["a", "g"], ["b"], mul)
            .operator("ADD", ["b", "o"], ["y"], add);
        }),
      ),
    );
    expect(operatorTexts(got.after)).toEqual(["FULLY_CONNECTED(x, w, o) -> y"]);
    expect(got.said[0]).toBe("folded constants (2 MUL, 1 ADD, 1 RSQRT, 1 SUB)");
    expect(await largestDifference(got)).toBeLessThan(1e-6);
  });

  test("several results", async () => {
    const { operators, after } = await check(
      model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", [1, 2])
          .constant("c", [4], Float32Array.of(1, 2, 3, 4))
          .constant("axis", [], Int32Array.of(0))
          .tensor("first", [2])
          .tensor("second", [2])
          .tensor("y", [1, 2])
          .operator("SPLIT", ["axis", "c"], ["first", "second"], { type: "SplitOptions", value: { numSplits: 2 } })
          .operator("ADD", ["x", "second"], ["y"], add),
      ),
    );
    expect(operators).toEqual(["ADD(x, second) -> y"]);
    expect(await floatsOf(after, "second")).toEqual([3, 4]);
  });

  test("integers with a scale: per tensor, per channel, 4 bits, and transposed afterwards", async () => {
    const scales = (axis: number, ...scale: number[]) => ({
      quantization: {
        scale: Float32Array.from(scale),
        zeroPoint: new BigInt64Array(scale.length).fill(2n),
        quantizedDimension: axis,
      },
    });
    const bytes = Int8Array.from({ length: 12 }, (_, i) => (i * 47) % 256);
    const of = model(["x"], ["y", "z", "n"], (graph) =>
      graph
        .tensor("x", [1, 3])
        .constant("q", [4, 3], bytes, { type: TensorType.INT8, ...scales(0, 0.1, 0.2, 0.3, 0.4) })
        .constant("k", [3, 4], bytes, { type: TensorType.INT8, ...scales(1, 0.1, 0.2, 0.3, 0.4) })
        .constant("u", [4], Uint8Array.of(0, 2, 5, 255), { type: TensorType.UINT8, ...quantized(0.7, 2) })
        .constant("four", [1, 3], Uint8Array.of(0x81, 0x07), { type: TensorType.INT4, ...quantized(0.3, 0) })
        .constant("perm", [2], Int32Array.of(1, 0))
        .tensor("w", [4, 3])
        .tensor("wide", [3, 4])
        .tensor("v", [4, 3])
        .tensor("b", [4])
        .tensor("nibbles", [1, 3])
        .tensor("y", [1, 4])
        .tensor("z", [1, 4])
        .tensor("n", [1, 3])
        .operator("DEQUANTIZE", ["q"], ["w"])
        .operator("DEQUANTIZE", ["k"], ["wide"])
        .operator("DEQUANTIZE", ["u"], ["b"])
        .operator("DEQUANTIZE", ["four"], ["nibbles"])
        .operator("TRANSPOSE", ["wide", "perm"], ["v"])
        .operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"], full)
        .operator("FULLY_CONNECTED", ["x", "v", "b"], ["z"], full)
        .operator("ADD", ["x", "nibbles"], ["n"], add),
    );
    const { operators, after } = await check(of, 1e-6);
    expect(operators).toEqual([
      "FULLY_CONNECTED(x, w, b) -> y",
      "FULLY_CONNECTED(x, v, b) -> z",
      "ADD(x, nibbles) -> n",
    ]);
    const real = (q: number, scale: number, zero = 2) => Math.fround((q - zero) * Math.fround(scale));
    const scale = [0.1, 0.2, 0.3, 0.4];
    expect(await floatsOf(after, "w")).toEqual(Array.from(bytes, (q, i) => real(q, scale[Math.floor(i / 3)]!)));
    expect(await floatsOf(after, "v")).toEqual(
      scale.flatMap((each, o) => [0, 1, 2].map((i) => real(bytes[i * 4 + o]!, each))),
    );
    expect(await floatsOf(after, "nibbles")).toEqual([real(1, 0.3, 0), real(-8, 0.3, 0), real(7, 0.3, 0)]);
  });
});

describe("shapes", () => {
  /** x → SHAPE → first dim, −1 → RESHAPE. */
  const flatten = (signature?: number[], ofResult?: number[]): Model =>
    model(["x"], ["y"], (graph) => {
      const more = signature && { shapeSignature: Int32Array.from(signature) };
      const result = ofResult && { shapeSignature: Int32Array.from(ofResult) };
      graph
        .tensor("x", [1, 2, 3], "FLOAT32", more)
        .tensor("negative", [1, 2, 3], "FLOAT32", result)
        .constant("zero", [1], Int32Array.of(0))
        .constant("one", [1], Int32Array.of(1))
        .constant("rest", [], Int32Array.of(6))
        .tensor("shape", [3], "INT32")
        .tensor("batch", [], "INT32")
        .tensor("packed", [2], "INT32")
        .tensor("y", [1, 6], "FLOAT32", ofResult && { shapeSignature: Int32Array.of(-1, 6) })
        .operator("NEG", ["x"], ["negative"])
        .operator("SHAPE", ["negative"], ["shape"], { type: "ShapeOptions", value: { outType: TensorType.INT32 } })
        .operator("STRIDED_SLICE", ["shape", "zero", "one", "one"], ["batch"], {
          type: "StridedSliceOptions",
          value: { shrinkAxisMask: 1 },
        })
        .operator("PACK", ["batch", "rest"], ["packed"], { type: "PackOptions", value: { valuesCount: 2 } })
        .operator("RESHAPE", ["negative", "packed"], ["y"]);
    });

  test("known dims are a constant", async () => {
    const { operators, said, after } = await check(flatten());
    expect(operators).toEqual(["NEG(x) -> negative", "RESHAPE(negative, packed) -> y"]);
    expect(said).toEqual(["folded constants (1 SHAPE, 1 STRIDED_SLICE, 1 PACK)"]);
    expect([...new Int32Array((await bytesOf(after, "packed")).buffer)]).toEqual([1, 6]);
  });

  test("unknown dims stay computed, also where the file says so of the input alone", async () => {
    for (const of of [flatten([-1, 2, 3], [-1, 2, 3]), flatten([-1, 2, 3])]) {
      const got = await prepared(await opened(of));
      expect(operatorTexts(got.after)).toHaveLength(5);
    }
  });

  test("a fixed tensor in a model with unknown dims elsewhere is fixed", async () => {
    const of = flatten();
    of.subgraphs![0]!.tensors!.push(
      { name: "other", shape: Int32Array.of(1, 2), shapeSignature: Int32Array.of(-1, 2), type: 0, buffer: 0 },
      { name: "more", shape: Int32Array.of(1, 2), shapeSignature: Int32Array.of(-1, 2), type: 0, buffer: 0 },
    );
    const { length } = of.subgraphs![0]!.tensors!;
    of.subgraphs![0]!.inputs = Int32Array.of(0, length - 2);
    const neg = of.subgraphs![0]!.operators![0]!;
    of.subgraphs![0]!.operators!.push({
      ...neg,
      inputs: Int32Array.of(length - 2),
      outputs: Int32Array.of(length - 1),
    });
    of.subgraphs![0]!.outputs = Int32Array.of(...of.subgraphs![0]!.outputs!, length - 1);
    const got = await prepared(await opened(of));
    expect(operatorTexts(got.after)).toEqual([
      "NEG(x) -> negative",
      "RESHAPE(negative, packed) -> y",
      "NEG(other) -> more",
    ]);
  });
});

describe("what stays", () => {
  test("an operator that yields an output, and one whose result swells the file", async () => {
    const { operators } = await check(
      model(["x"], ["y", "c"], (graph) =>
        graph
          .tensor("x", [1, 512, 1024])
          .constant("p", [2], Float32Array.of(1, 2))
          .constant("one", [], Float32Array.of(3))
          .constant("dims", [3], Int32Array.of(1, 512, 1024))
          .tensor("c", [2])
          .tensor("large", [1, 512, 1024])
          .tensor("y", [1, 512, 1024])
          .operator("NEG", ["p"], ["c"])
          .operator("FILL", ["dims", "one"], ["large"])
          .operator("ADD", ["x", "large"], ["y"], add),
      ),
    );
    expect(operators).toEqual(["NEG(p) -> c", "FILL(dims, one) -> large", "ADD(x, large) -> y"]);
  });

  test("what LiteRT refuses, without harm to its neighbours; quantized arithmetic; chance", async () => {
    const of = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [2])
        .constant("p", [2], Float32Array.of(1, 2))
        .constant("bad", [3], Int32Array.of(7, 8, 9))
        .constant("q", [2], Int8Array.of(1, 2), { type: TensorType.INT8, ...quantized(0.5, 0) })
        .constant("dims", [1], Int32Array.of(2))
        .tensor("gathered", [3])
        .tensor("negative", [2])
        .tensor("q2", [2], "INT8", quantized(0.25, 0))
        .tensor("chance", [2])
        .tensor("f", [2])
        .tensor("s", [2])
        .tensor("t", [2])
        .tensor("y", [3])
        .operator("GATHER", ["p", "bad"], ["gathered"], { type: "GatherOptions", value: {} })
        .operator("NEG", ["p"], ["negative"])
        .operator("QUANTIZE", ["q"], ["q2"])
        .operator("DEQUANTIZE", ["q2"], ["f"])
        .operator("RANDOM_UNIFORM", ["dims"], ["chance"], { type: "RandomOptions", value: {} })
        .operator("ADD", ["negative", "f"], ["s"], add)
        .operator("ADD", ["s", "chance"], ["t"], add)
        .operator("CONCATENATION", ["gathered", "t", "x"], ["y"], { type: "ConcatenationOptions", value: { axis: 0 } }),
    );
    const got = await prepared(await opened(of));
    expect(operatorTexts(got.after)).toEqual([
      "GATHER(p, bad) -> gathered",
      "QUANTIZE(q) -> q2",
      "DEQUANTIZE(q2) -> f",
      "RANDOM_UNIFORM(dims) -> chance",
      "ADD(negative, f) -> s",
      "ADD(s, chance) -> t",
      "CONCATENATION(gathered, t, x) -> y",
    ]);
  });
});

test("each of several subgraphs; what control flow runs, only when it is asked for", async () => {
  const builder = new ModelBuilder();
  const graphs = ["x", "z"].map((input) =>
    new GraphBuilder(builder)
      .tensor(input, [2])
      .constant(`${input}p`, [2], Float32Array.of(1, 2))
      .tensor(`${input}n`, [2])
      .tensor(`${input}y`, [2])
      .operator("NEG", [`${input}p`], [`${input}n`])
      .operator("ADD", [input, `${input}n`], [`${input}y`], add)
      .graph([input], [`${input}y`]),
  );
  const of = await opened(builder.model(...graphs));
  const both = await prepared(of);
  expect([operatorTexts(both.after, 0), operatorTexts(both.after, 1)]).toEqual([
    ["ADD(x, xn) -> xy"],
    ["ADD(z, zn) -> zy"],
  ]);
  expect(await floatsOf(both.after, "zn", 1)).toEqual([-1, -2]);
  expect(both.said).toEqual(["folded constants (2 NEG)"]);
  const first = await prepared(of, [], 1);
  expect([operatorTexts(first.after, 0), operatorTexts(first.after, 1)]).toEqual([
    ["ADD(x, xn) -> xy"],
    ["NEG(zp) -> zn", "ADD(z, zn) -> zy"],
  ]);
});
