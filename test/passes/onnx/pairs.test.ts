/** Phases 1 to 3: QuantizeLinear and DequantizeLinear fold into tensors. Expected integers are computed here, one by one. */
import { describe, expect, test } from "bun:test";
import { runCircleQuantizer } from "../../../src/drop-in/circle-quantizer.ts";
import { exactRound, f32, symmetricOf } from "../../operators/oracle.ts";
import { refusal } from "../support.ts";
import { brief, is, onnx, pair, s16, u8, weights } from "./support.ts";

const ADD = (g: Parameters<Parameters<typeof onnx>[2]>[0], x: string, y: string, out: string) =>
  g.operator("ADD", [x, y], [out], { type: "AddOptions", value: {} });

describe("a pair on a computed tensor", () => {
  test("gives it dtype and parameters and is gone", async () => {
    const result = await onnx(["x"], ["y.dq"], (g) => {
      g.tensor("x", [1, 4]).tensor("y", [1, 4]);
      g.operator("RELU", [pair(g, "x", [1, 4], u8(0.25, 3))], ["y"]);
      pair(g, "y", [1, 4], u8(0.5, 0));
    });
    expect(result.operators).toEqual(["RELU(x) -> y"]);
    expect(brief(result, "x")).toEqual(is("UINT8", 0.25, 3));
    expect(brief(result, "y")).toEqual(is("UINT8", 0.5, 0));
    expect([result.inputs, result.outputs]).toEqual([["x"], ["y"]]);
  });

  test("whose halves contradict each other is refused, all of them at once", async () => {
    const message = await refusal(() =>
      onnx(["x", "y"], ["x.dq", "y.dq"], (g) => {
        g.tensor("x", [4]).tensor("y", [4]);
        pair(g, "x", [4], u8(0.25, 3), u8(0.5, 3));
        pair(g, "y", [4], s16(0.25), { ...s16(0.25), zeroPoint: [1] });
      }),
    );
    expect(message).toContain('"x.q": quantizes with scale 0.25, zero point 3, but');
    expect(message).toContain('"y.q": quantizes with scale 0.25, zero point 0, but');
  });

  test("two pairs of one tensor: equal ones count once, others are refused", async () => {
    const two = (second: ReturnType<typeof s16>) =>
      onnx(["x"], ["x.dq", "again.dq"], (g) => {
        g.tensor("x", [4]);
        pair(g, "x", [4], s16(0.25));
        pair(g, "again", [4], second);
        g.operators.at(-2)!.inputs![0] = 0;
      });
    expect((await two(s16(0.25))).outputs).toEqual(["x", "x"]);
    expect(await refusal(() => two(s16(0.5)))).toContain('input "x": two QuantizeLinear give it different parameters');
  });

  test.each([
    ["int8", { dtype: "INT8" as const, scale: [0.5], zeroPoint: [0] }, "quantizes to INT8; there are rules for uint8"],
    ["two scales", { dtype: "UINT8" as const, scale: [1, 2], zeroPoint: [0, 0] }, "no rule covers it"],
    ["scale 0", u8(0, 0), "has scale 0; it must be above 0"],
  ])("%s is refused", async (_, parameters, message) => {
    const run = () => onnx(["x"], ["x.dq"], (g) => void pair(g.tensor("x", [2]), "x", [2], parameters));
    expect(await refusal(run)).toContain(message);
  });
});

describe("a pair on a constant", () => {
  const VALUES = [0.125, -0.125, 0.375, 0.3, -7, 1e9, -1e9, 0.7 * 2.5, -0, 12345.678];

  test("divides in f32 and rounds halves away from zero, to ±32767", async () => {
    const scale = f32(0.1);
    const values = Float32Array.from([...VALUES, scale * 2.5, f32(scale * 0.5)]);
    const result = await onnx(["x"], ["y.dq"], (g) => {
      g.tensor("x", [12]).tensor("y", [12]).constant("c", [12], values);
      ADD(g, pair(g, "x", [12], s16(1)), pair(g, "c", [12], s16(scale)), "y");
      pair(g, "y", [12], s16(2));
    });
    const naive = [...values].map((v) => Math.min(32767, Math.max(-32767, exactRound(f32(v / scale)) + 0)));
    expect(result.tensors.get("c_quant")!.values).toEqual(naive.map((q) => q + 0));
    expect(brief(result, "c_quant")).toEqual(is("INT16", scale, 0));
  });

  test("is the same when it is longer than a piece of the stream", async () => {
    const count = (1 << 20) + 5;
    const values = Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 65536) / 100 - 300);
    const result = await onnx(["x"], ["y.dq"], (g) => {
      g.tensor("x", [1]).tensor("y", [count]).constant("c", [count], values);
      ADD(g, pair(g, "x", [1], s16(1)), pair(g, "c", [count], s16(0.01)), "y");
      pair(g, "y", [count], s16(2));
    });
    const naive = Int16Array.from(values, (v) => Math.min(32767, Math.max(-32767, exactRound(f32(v / f32(0.01))))));
    expect(Int16Array.from(result.tensors.get("c_quant")!.values as number[])).toEqual(naive);
  });

  test.each([
    ["to uint8", Float32Array.of(1, 2), u8(0.5, 0), 'constant "c": is quantized to UINT8'],
    ["with NaN", Float32Array.of(1, Number.NaN), s16(1), 'constant "c": has 1 NaN'],
  ])("%s is refused", async (_, values, parameters, message) => {
    const run = () =>
      onnx(["x"], ["y.dq"], (g) => {
        g.tensor("x", [2]).tensor("y", [2]).constant("c", [2], values);
        ADD(g, pair(g, "x", [2], s16(1)), pair(g, "c", [2], parameters), "y");
        pair(g, "y", [2], s16(1));
      });
    expect(await refusal(run)).toContain(message);
  });
});

describe("DequantizeLinear of a constant", () => {
  const X = u8(0.5, 0);
  const fullyConnected = (shape: number[], values: number[], parameters: Parameters<typeof weights>[4]) =>
    onnx(["x"], ["y.dq"], (g) => {
      g.tensor("x", [1, shape[1]!]).tensor("y", [1, shape[0]!]);
      const w = weights(g, "w", shape, values, parameters);
      g.operator("FULLY_CONNECTED", [pair(g, "x", [1, shape[1]!], X), w, ""], ["y"], {
        type: "FullyConnectedOptions",
        value: {},
      });
      pair(g, "y", [1, shape[0]!], u8(1, 7));
    });

  test("is the constant, along the axis of its option", async () => {
    const values = [1, 2, 3, 200, 5, 6];
    const result = await fullyConnected([2, 3], values, {
      dtype: "UINT8",
      scale: [0.5, 1, 2],
      zeroPoint: [1, 2, 3],
      axis: -1,
    });
    const { dtype, zeroPoint, axis, values: stored } = result.tensors.get("w")!;
    expect({ dtype, zeroPoint, axis, stored }).toEqual({
      dtype: "UINT8",
      zeroPoint: [1, 2, 3],
      axis: 1,
      stored: values,
    });
    expect(result.operators).toEqual(["FULLY_CONNECTED(x, w, -) -> y"]);
  });

  test("without the option is along axis 0; int16 stays", async () => {
    const result = await fullyConnected([2, 1], [-5, 700], { dtype: "INT16", scale: [0.5, 1], zeroPoint: [0, 0] });
    expect(result.tensors.get("w")).toMatchObject({ dtype: "INT16", axis: 0, values: [-5, 700] });
  });

  test.each([
    ["INT4", [8, 8]],
    ["UINT4", [8, 15]],
    ["UINT8", [8, 16]],
  ] as const)("uint8 values of 0 to 15 become %s with zero points %p", async (dtype, zeroPoint) => {
    const values = [0, 14, 9, 7, 15, 8];
    const result = await fullyConnected([2, 3], values, { dtype: "UINT8", scale: [1, 2], zeroPoint: [...zeroPoint] });
    const less = dtype === "INT4" ? 8 : 0;
    const nibbles = values.map((v) => (v - less) & 15);
    const packed = [0, 2, 4].map((i) => nibbles[i]! + 16 * nibbles[i + 1]!);
    const fact = result.tensors.get("w")!;
    expect(fact).toMatchObject({ dtype, zeroPoint, values: dtype === "UINT8" ? values : packed });
  });

  test("an odd number of nibbles ends with a zero; more than a piece is the same", async () => {
    const count = (1 << 20) + 3;
    const values = Array.from({ length: count }, (_, i) => (i * 7) % 16);
    const result = await fullyConnected([1, count], values, u8(1, 3));
    const stored = result.tensors.get("w")!.values as number[];
    expect(stored.length).toBe(Math.ceil(count / 2));
    const wrong = values.findIndex((v, i) => ((stored[i >> 1]! >> (i % 2 ? 4 : 0)) & 15) !== v);
    expect([wrong, stored.at(-1)! >> 4]).toEqual([-1, 0]);
  });

  test.each([
    ["int8", { dtype: "INT8" as const, scale: [1], zeroPoint: [0] }, 'constant "w": is INT8'],
    ["sizes", { dtype: "UINT8" as const, scale: [1, 2], zeroPoint: [0] }, "has 2 scales and 1 zero points"],
    ["axis", { dtype: "UINT8" as const, scale: [1, 2], zeroPoint: [0, 0], axis: 1 }, "has 2 scales along axis 1, but"],
  ])("%s is refused", async (_, parameters, message) => {
    expect(await refusal(() => fullyConnected([2, 3], [1, 2, 3, 4, 5, 60], parameters))).toContain(message);
  });
});

describe("what has no pair", () => {
  test("a float constant becomes INT16 by its own values, a copy for each user", async () => {
    const result = await onnx(["x"], ["y.dq"], (g) => {
      g.tensor("x", [2]).tensor("y", [2]).constant("c", [2], Float32Array.of(-3, 1.5));
      ADD(g, pair(g, "x", [2], s16(1)), "c", "y");
      pair(g, "y", [2], s16(2));
    });
    const { scale } = symmetricOf(-3, 1.5);
    expect(brief(result, "c")).toEqual(is("INT16", scale, 0));
    expect(result.tensors.get("c")!.values).toEqual([-32767, exactRound(f32(f32(1.5) * f32(1 / scale)))]);
  });

  test("a constant operand without a rule is refused", async () => {
    const run = () =>
      onnx(["x"], ["y"], (g) => {
        g.tensor("x", [2]).tensor("y", [2]).constant("axis", [], Int32Array.of(0));
        g.operator("CUMSUM", [pair(g, "x", [2], s16(1)), "axis"], ["y"]);
      });
    expect(await refusal(run)).toContain('CUMSUM "y"');
  });

  test("a DequantizeLinear of a computed tensor is refused", async () => {
    const run = () =>
      onnx(["x"], ["y"], (g) => {
        g.tensor("x", [2], "UINT8").tensor("y", [2]);
        g.constant("s", [1], Float32Array.of(1)).constant("z", [1], Uint8Array.of(0) as never, { type: 3 });
        g.operator("CUSTOM", ["x", "s", "z"], ["y"], undefined, "ONNXDequantizeLinear");
      });
    expect(await refusal(run)).toContain('CUSTOM:ONNXDequantizeLinear "y": no rule covers it');
  });

  test("the mode stands alone on the command line", async () => {
    const words = ["--quantize_onnx_fq_model", "--fake_quantize", "in.circle", "out.circle"];
    expect(await refusal(() => runCircleQuantizer(words))).toContain("choose exactly one");
  });
});
