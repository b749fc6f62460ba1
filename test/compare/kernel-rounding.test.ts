/**
 * Kernels that round twice, or cut off, in the fake-quantized model. Truth is gemmlowp's integer arithmetic, written out with big integers;
 * onert gives the same integers (scripts/check-onert.py).
 */
import { expect, test } from "bun:test";
import type { BuiltinOptions, Model } from "../../src/model/index.ts";
import { model, quantized, quantizedAs } from "../helpers/models.ts";
import { fakeQuantized, valuesOf } from "./support.ts";

/** Powers of two, so that sums of floats are exact, as sums of integers are. */
const IN = 2 ** -5;
const WEIGHTS = 2 ** -7;

/** (a · b · 2 + 2³¹) >> 32, where halves of negative products go up. */
function highProduct(a: bigint, b: bigint): bigint {
  const product = a * b;
  const nudge = product >= 0n ? 1n << 30n : 1n - (1n << 30n);
  // BigInt division cuts off, as C's does.
  return (product + nudge) / (1n << 31n);
}

/** Divides by a power of two; halves go away from zero. */
function shifted(value: bigint, bits: bigint): bigint {
  const mask = (1n << bits) - 1n;
  const threshold = (mask >> 1n) + (value < 0n ? 1n : 0n);
  return (value >> bits) + ((value & mask) > threshold ? 1n : 0n);
}

/** gemmlowp: the factor is a mantissa of 31 bits in [½, 1) and a power of two. */
function multiplied(sum: number, factor: number): number {
  const bits = Math.max(0, -1 - Math.floor(Math.log2(factor)));
  const mantissa = BigInt(Math.round(factor * 2 ** (bits + 31)));
  return Number(shifted(highProduct(BigInt(sum), mantissa), BigInt(bits)));
}

const clamped = (value: number) => Math.min(255, Math.max(0, value));
const times = (count: number, of: (i: number) => number) => Array.from({ length: count }, (_, i) => of(i));

/** Values that stand for integers 0 … 255 in a changing order. */
const integers = times(512, (i) => (i * 167 + 13) % 256);
const rows = (values: number[], zeroPoint: number) => {
  const floats = Float32Array.from(values, (q) => (q - zeroPoint) * IN);
  return [[new Uint8Array(floats.buffer)]];
};

async function given(float: Model, output: string, records: Uint8Array[][], scale: number, zeroPoint: number) {
  const [values] = (await valuesOf(float, [output], records)).get(output)!;
  return [...values!].map((value) => Math.round(value / scale) + zeroPoint);
}

/** Scales of the result by shift: 1, 3 and 7 bits, and a factor past ½. */
for (const scale of [0.00081, 0.0031, 0.047, 0.00031])
  for (const activation of [0, 1]) {
    test(`FULLY_CONNECTED, scale ${scale}, ${activation ? "RELU" : "no activation"}`, async () => {
      const [wZero, outZero] = [117, activation ? 0 : 131];
      const weights = [120, 115, 122, 117, 119, 116, 118, 113];
      const bias = [37, -211];
      const options: BuiltinOptions = {
        type: "FullyConnectedOptions",
        value: { fusedActivationFunction: activation as 0 | 1 },
      };
      const circle = model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", [128, 4], "UINT8", quantized(IN, 128))
          .constant("w", [2, 4], Uint8Array.from(weights), quantizedAs("UINT8", [WEIGHTS], [wZero]))
          .constant("b", [2], Int32Array.from(bias), quantizedAs("INT32", [IN * WEIGHTS], [0]))
          .tensor("y", [128, 2], "UINT8", quantized(scale, outZero))
          .operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"], options),
      );
      const factor = (IN * WEIGHTS) / Math.fround(scale);
      const sums = times(256, (i) => {
        const [row, out] = [i >> 1, i & 1];
        return times(4, (k) => (integers[row * 4 + k]! - 128) * (weights[out * 4 + k]! - wZero)).reduce(
          (a, b) => a + b,
          bias[out]!,
        );
      });
      const expected = sums.map((sum) =>
        Math.max(activation ? outZero : 0, clamped(multiplied(sum, factor) + outZero)),
      );
      const fake = await fakeQuantized(circle);
      const name = "y_FQ_Quantize_FQ_Dequantize";
      expect(await given(fake, name, rows(integers, 128), Math.fround(scale), outZero)).toEqual(expected);
      // With one bit shifted off, a quarter of what is rounded once is different.
      const once = await given(
        await fakeQuantized(circle, null),
        name,
        rows(integers, 128),
        Math.fround(scale),
        outZero,
      );
      if (factor > 0.25 && factor < 0.5) expect(once).not.toEqual(expected);
    });
  }

test("CONV_2D: each channel by its own shift", async () => {
  const scales = [2 ** -7, 2 ** -6, 2 ** -10, 2 ** -8];
  const weights = [140, 3, 255, 200];
  const scale = 0.0009;
  const circle = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 16, 32, 1], "UINT8", quantized(IN, 128))
      .constant("w", [4, 1, 1, 1], Uint8Array.from(weights), quantizedAs("UINT8", scales, [128, 128, 128, 128]))
      .constant(
        "b",
        [4],
        Int32Array.of(5, -7, 0, 100),
        quantizedAs(
          "INT32",
          scales.map((each) => each * IN),
          [0, 0, 0, 0],
        ),
      )
      .tensor("y", [1, 16, 32, 4], "UINT8", quantized(scale, 128))
      .operator("CONV_2D", ["x", "w", "b"], ["y"], {
        type: "Conv2DOptions",
        value: { padding: 1, strideW: 1, strideH: 1, dilationWFactor: 1, dilationHFactor: 1 },
      }),
  );
  const bias = [5, -7, 0, 100];
  const expected = integers.flatMap((q) =>
    weights.map((w, channel) => {
      const factor = (IN * scales[channel]!) / Math.fround(scale);
      return clamped(multiplied((q - 128) * (w - 128) + bias[channel]!, factor) + 128);
    }),
  );
  const fake = await fakeQuantized(circle);
  expect(await given(fake, "y_FQ_Quantize_FQ_Dequantize", rows(integers, 128), Math.fround(scale), 128)).toEqual(
    expected,
  );
});

test("RESIZE_BILINEAR: fractions are cut off", async () => {
  const scale = 0.01;
  const circle = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 1, 512, 1], "UINT8", quantized(scale, 100))
      .constant("size", [2], Int32Array.of(1, 1024))
      .tensor("y", [1, 1, 1024, 1], "UINT8", quantized(scale, 100))
      .operator("RESIZE_BILINEAR", ["x", "size"], ["y"], { type: "ResizeBilinearOptions", value: {} }),
  );
  const floats = Float32Array.from(integers, (q) => (q - 100) * Math.fround(scale));
  // Twice as many values: each, and the middle between it and the next one.
  const expected = times(1024, (i) => {
    const [a, b] = [integers[i >> 1]!, integers[Math.min(511, (i + 1) >> 1)]!];
    return Math.floor((a + b) / 2);
  });
  const fake = await fakeQuantized(circle);
  const name = fake.subgraphs![0]!.tensors![fake.subgraphs![0]!.outputs![0]!]!.name!;
  expect(await given(fake, name, [[new Uint8Array(floats.buffer)]], Math.fround(scale), 100)).toEqual(expected);
});

test("ADD: halves go away from zero", async () => {
  const scale = 0.0235294122248888;
  const circle = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [512], "UINT8", quantized(scale, 128))
      .constant("c", [1], Uint8Array.of(131), quantizedAs("UINT8", [scale], [128]))
      .tensor("y", [512], "UINT8", quantized(2 * scale, 60))
      .operator("ADD", ["x", "c"], ["y"], { type: "AddOptions", value: {} }),
  );
  const floats = Float32Array.from(integers, (q) => (q - 128) * Math.fround(scale));
  const expected = integers.map((q) => {
    const twice = q - 128 + 3;
    return clamped(Math.sign(twice) * Math.floor((Math.abs(twice) + 1) / 2) + 60);
  });
  const fake = await fakeQuantized(circle);
  const actual = given(
    fake,
    "y_FQ_Quantize_FQ_Dequantize",
    [[new Uint8Array(floats.buffer)]],
    Math.fround(2 * scale),
    60,
  );
  expect(await actual).toEqual(expected);
});
