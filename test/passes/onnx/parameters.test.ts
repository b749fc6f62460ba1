/** Phases 4 to 9 and ours: parameters move, special functions, Quantize operators between dtypes, outputs. */
import { describe, expect, test } from "bun:test";
import type { ActivationFunctionType, BuiltinOptions } from "../../../src/model/index.ts";
import type { GraphBuilder } from "../../helpers/models.ts";
import { asymmetricOf, f32, symmetricOf } from "../../operators/oracle.ts";
import { refusal } from "../support.ts";
import { brief, is, onnx, type Parameters, pair, s16, u8, weights } from "./support.ts";

/** One operator on x (and z), whose result y may have a pair. */
function one(x: Parameters, apply: (g: GraphBuilder, x: string) => void, y?: Parameters, likeReference = true) {
  return onnx(
    ["x"],
    [y ? "y.dq" : "y"],
    (g) => {
      g.tensor("x", [1, 2, 2]).tensor("y", [1, 2, 2]);
      apply(g, pair(g, "x", [1, 2, 2], x));
      if (y) pair(g, "y", [1, 2, 2], y);
    },
    likeReference,
  );
}

const shape = (g: GraphBuilder) => g.constant("shape", [3], Int32Array.of(1, 2, 2));
const reshape = (g: GraphBuilder, x: string) => shape(g).operator("RESHAPE", [x, "shape"], ["y"]);
const transpose = (g: GraphBuilder, x: string) =>
  g.constant("perm", [3], Int32Array.of(0, 2, 1)).operator("TRANSPOSE", [x, "perm"], ["y"]);
const unary = (op: "NEG" | "SQUEEZE" | "LOGISTIC" | "TANH" | "SOFTMAX" | "FLOOR") => (g: GraphBuilder, x: string) =>
  g.operator(op, [x], ["y"]);
const gather = (g: GraphBuilder, x: string) =>
  g.constant("at", [1], Int32Array.of(0)).operator("GATHER", [x, "at"], ["y"], { type: "GatherOptions", value: {} });
const slice = (g: GraphBuilder, x: string) =>
  shape(g).operator("STRIDED_SLICE", [x, "shape", "shape", "shape"], ["y"], { type: "StridedSliceOptions", value: {} });
const mul = (fused: ActivationFunctionType = 0): BuiltinOptions => ({
  type: "MulOptions",
  value: { fusedActivationFunction: fused },
});
const square = (g: GraphBuilder, x: string) => g.operator("MUL", [x, x], ["y"], mul());

describe("operators without a pair take their operand's parameters", () => {
  test.each([
    ["RESHAPE", reshape],
    ["TRANSPOSE", transpose],
    ["STRIDED_SLICE", slice],
    ["SQUEEZE", unary("SQUEEZE")],
    ["GATHER", gather],
  ])("%s", async (_, apply) => {
    expect(brief(await one(u8(0.5, 9), apply), "y")).toEqual(is("UINT8", 0.5, 9));
  });

  test("in chains", async () => {
    const result = await one(s16(0.5), (g, x) => {
      g.tensor("a", [1, 2, 2]).tensor("b", [1, 2, 2]);
      shape(g).operator("RESHAPE", [x, "shape"], ["a"]).operator("NEG", ["a"], ["b"]);
      g.operator("SQUEEZE", ["b"], ["y"]);
    });
    for (const name of ["a", "b", "y"]) expect(brief(result, name)).toEqual(is("INT16", 0.5, 0));
  });

  test("MUL of a tensor with itself: s·s·32767 in f32", async () => {
    const s = f32(0.0123);
    expect(brief(await one(s16(s), square), "y")).toEqual(is("INT16", f32(f32(s * s) * 32767), 0));
  });

  test("CONCATENATION: those of the largest scale, the first among equals; only INT16", async () => {
    const concat = (list: Parameters[]) =>
      onnx(
        list.map((_, i) => `x${i}`),
        ["y"],
        (g) => {
          list.forEach((_, i) => void g.tensor(`x${i}`, [2]));
          const inputs = list.map((p, i) => pair(g, `x${i}`, [2], p));
          g.tensor("y", [6]).operator("CONCATENATION", inputs, ["y"], { type: "ConcatenationOptions", value: {} });
        },
      );
    const result = await concat([s16(0.5), s16(2), s16(1)]);
    expect(brief(result, "y")).toEqual(is("INT16", 2, 0));
    // Backward propagation does not give them to the operands: their QuantizeLinear, though bypassed, is a user still (§2.2).
    const scales = ["x0", "x1", "x2"].map((name) => brief(result, name));
    expect(scales).toEqual([is("INT16", 0.5, 0), is("INT16", 2, 0), is("INT16", 1, 0)]);
    expect(await refusal(() => concat([u8(1, 0), u8(1, 0)]))).toContain("becomes UINT8 without any scale");
  });
});

test("backward propagation gives a RESHAPE's parameters to an operand of its own", async () => {
  const result = await one(
    u8(1, 1),
    (g, x) => {
      g.tensor("a", [1, 2, 2]).operator("RELU", [x], ["a"]);
      reshape(g, "a");
    },
    u8(0.25, 4),
  );
  expect(brief(result, "a")).toEqual(is("UINT8", 0.25, 4));
});

describe("special functions keep their dtype and get their own parameters", () => {
  test.each([
    ["LOGISTIC", u8(0.5, 3), 1 / 256, 0],
    ["LOGISTIC", s16(0.5), 1 / 32768, 0],
    ["TANH", u8(0.5, 3), 2 / 256, 128],
    ["SOFTMAX", s16(0.5), f32(1 / 32767), 0],
    ["FLOOR", u8(2.5, 3), 3, 3],
    ["FLOOR", u8(0.25, 3), 1, 3],
  ] as const)("%s %o", async (op, p, scale, zeroPoint) => {
    expect(brief(await one(p, unary(op), p), "y")).toEqual(is(p.dtype, scale, zeroPoint));
  });
});

describe("Quantize between dtypes", () => {
  test("TRANSPOSE INT16 → UINT8: before it", async () => {
    const result = await one(s16(0.5), transpose, u8(0.25, 7));
    expect(result.operators).toEqual(["QUANTIZE(x) -> y_Quantize", "TRANSPOSE(y_Quantize, perm) -> y"]);
    expect(brief(result, "y_Quantize")).toEqual(is("UINT8", 0.25, 7));
    expect(brief(result, "y")).toEqual(is("UINT8", 0.25, 7));
  });

  test("FULLY_CONNECTED UINT8 → INT16: computed in UINT8", async () => {
    const s = f32(0.00037);
    const connect = (g: GraphBuilder, x: string) => {
      const w = weights(g, "w", [2, 2], [1, 2, 3, 200], u8(0.5, 100));
      g.operator("FULLY_CONNECTED", [x, w, ""], ["y"], { type: "FullyConnectedOptions", value: {} });
    };
    const result = await one(u8(1, 1), connect, s16(s));
    const limit = f32(s * 32767);
    const { scale, zeroPoint } = asymmetricOf(-limit, limit);
    expect(result.operators).toEqual(["FULLY_CONNECTED(x, w, -) -> y", "QUANTIZE(y) -> y_Quantize"]);
    expect(brief(result, "y")).toEqual(is("UINT8", scale, zeroPoint));
    expect(brief(result, "y_Quantize")).toEqual(is("INT16", s, 0));
    expect(result.outputs).toEqual(["y_Quantize"]);
  });

  test.each([
    ["MUL", mul()],
    ["BATCH_MATMUL", { type: "BatchMatMulOptions", value: {} } as BuiltinOptions],
  ] as const)("%s INT16, INT16 → UINT8: computed in INT16", async (op, options) => {
    const s = f32(0.037);
    const result = await one(s16(1), (g, x) => g.operator(op, [x, x], ["y"], options), u8(s, 100));
    const { scale } = symmetricOf(f32(s * -100), f32(s * 155));
    expect(brief(result, "y")).toEqual(is("INT16", scale, 0));
    expect(brief(result, "y_Quantize")).toEqual(is("UINT8", s, 100));
  });
});

describe("where the reference knows no way", () => {
  const relu = (g: GraphBuilder, x: string) => {
    g.tensor("a", [1, 2, 2]).operator("RELU", [x], ["a"]);
    pair(g, "a", [1, 2, 2], s16(0.5));
    g.operator("RELU", ["a.dq"], ["y"]);
  };

  test("an output that it refuses is mended: computed in the operand's dtype, requantized behind", async () => {
    const result = await one(s16(1), (g, x) => g.operator("RELU", [x], ["y"]), u8(0.5, 10));
    const { scale } = symmetricOf(-5, f32(0.5 * 245));
    expect(brief(result, "y")).toEqual(is("INT16", scale, 0));
    expect(brief(result, "y_Quantize")).toEqual(is("UINT8", 0.5, 10));
  });

  test("an operator that moves values is mended with its operand's parameters", async () => {
    const result = await one(u8(1, 3), gather, s16(0.5));
    expect(result.operators).toEqual(["GATHER(x, at) -> y", "QUANTIZE(y) -> y_Quantize"]);
    expect(brief(result, "y")).toEqual(is("UINT8", 1, 3));
    expect(brief(result, "y_Quantize")).toEqual(is("INT16", 0.5, 0));
  });

  test("NEG of UINT8 turns the zero point over: −(q − z)·s = ((255 − q) − (255 − z))·s", async () => {
    expect(brief(await one(u8(0.5, 10), unary("NEG")), "y")).toEqual(is("UINT8", 0.5, 245));
  });

  test("inside a model that it accepts: like it for the drop-in front, with a warning; else mended", async () => {
    const like = await one(u8(1, 0), relu, u8(2, 0));
    expect(like.notes).toEqual([expect.stringContaining('RELU "a": has parameters for INT16, but its operands make')]);
    expect(brief(like, "a")).toEqual(is("UINT8", 0.5, 0));
    const ours = await one(u8(1, 0), relu, u8(2, 0), false);
    expect(ours.notes).toEqual([]);
    const limit = f32(0.5 * 32767);
    const { scale, zeroPoint } = asymmetricOf(-limit, limit);
    expect(brief(ours, "a")).toEqual(is("UINT8", scale, zeroPoint));
    expect(brief(ours, "a_Quantize")).toEqual(is("INT16", 0.5, 0));
  });

  test("an output without any parameters is refused", async () => {
    const run = () => one(u8(1, 3), (g, x) => g.operator("ABS", [x], ["y"]));
    expect(await refusal(run)).toContain('output ABS "y": becomes UINT8 without any scale');
  });
});
