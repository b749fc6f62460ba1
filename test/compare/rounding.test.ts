/**
 * What the fake-quantized model computes, held by an oracle: the float operator itself, in LiteRT, on operands that this test rounds,
 * and a result that this test rounds. Every operand and result has parameters of its own, so whatever is not rounded shows.
 */
import { describe, expect, test } from "bun:test";
import { instrument } from "../../src/calibration/instrument.ts";
import { CIRCLE_OPERATORS } from "../../src/calibration/lowering.ts";
import { rangeOf, readRange } from "../../src/model/bytes.ts";
import { type Model, nameOf, type Tensor, TensorType } from "../../src/model/index.ts";
import { dropIn } from "../passes/support.ts";
import { modelFor, ROWS, recordsFor } from "./operator-models.ts";
import { fakeQuantized, modelOf, valuesOf } from "./support.ts";

const LIMITS: Readonly<Record<string, readonly [low: number, high: number]>> = {
  UINT8: [0, 255],
  INT16: [-32767, 32767],
};

const typeOf = ({ type }: Tensor) => nameOf(TensorType, type ?? 0)!;
const isRounded = (tensor: Tensor) => (tensor.quantization?.scale?.length ?? 0) > 0 && typeOf(tensor) in LIMITS;

/** The nearest value that a quantized tensor can have, in float32. */
function rounded(value: number, tensor: Tensor): number {
  const [low, high] = LIMITS[typeOf(tensor)]!;
  const scale = tensor.quantization!.scale![0]!;
  const zeroPoint = Number(tensor.quantization!.zeroPoint![0]!);
  const q = Math.min(high, Math.max(low, Math.round(value / scale) + zeroPoint));
  return Math.fround((q - zeroPoint) * scale);
}

/** Numbers of an integer constant. */
function numbersOf(model: Model, tensor: Tensor): number[] {
  const bytes = readRange(model.buffers![tensor.buffer!]!.data as Parameters<typeof readRange>[0]);
  const buffer = bytes.slice().buffer;
  switch (typeOf(tensor)) {
    case "UINT8":
      return [...new Uint8Array(buffer)];
    case "INT16":
      return [...new Int16Array(buffer)];
    case "INT32":
      return [...new Int32Array(buffer)];
    default:
      return [...new BigInt64Array(buffer)].map(Number);
  }
}

/** What an integer constant stands for, per tensor or along its axis. */
function meant(model: Model, tensor: Tensor): Float32Array {
  const { scale, zeroPoint, quantizedDimension = 0 } = tensor.quantization!;
  const shape = [...(tensor.shape ?? [])];
  const inner = shape.slice(quantizedDimension + 1).reduce((a, b) => a * b, 1);
  const channel = (i: number) => (scale!.length === 1 ? 0 : Math.floor(i / inner) % scale!.length);
  return Float32Array.from(
    numbersOf(model, tensor),
    (q, i) => (q - Number(zeroPoint![channel(i)]!)) * scale![channel(i)]!,
  );
}

/** Gives every input and result parameters that no other tensor has, coarse for results; their ratios are no fractions, so no ties. */
function withOwnParameters(model: Model, dtype: "UINT8" | "INT16"): void {
  const { tensors = [], inputs, outputs } = model.subgraphs![0]!;
  const step = dtype === "UINT8" ? 1 : 1 / 128;
  const set = (tensor: Tensor, scale: number, zeroPoint: number) => {
    if (!isRounded(tensor)) return;
    const at = dtype === "UINT8" ? BigInt(zeroPoint) : 0n;
    tensor.quantization = { scale: Float32Array.of(scale * step), zeroPoint: BigInt64Array.of(at) };
  };
  [...inputs!].forEach((at, i) => {
    set(tensors[at]!, 0.0101 * Math.SQRT2 ** i, 120 + i);
  });
  [...outputs!].forEach((at, i) => {
    set(tensors[at]!, 0.0577 * Math.SQRT2 ** (i / 3), 100 + i);
  });
}

/** The float model with the constants that the quantized one's stand for. */
function withConstantsOf(quantized: Model, float: Model): Model {
  const known = new Map(quantized.subgraphs![0]!.tensors!.map((tensor) => [tensor.name, tensor]));
  const buffers = [...float.buffers!];
  const tensors = float.subgraphs![0]!.tensors!.map((tensor) => {
    const other = known.get(tensor.name);
    if (!tensor.buffer || typeOf(tensor) !== "FLOAT32" || !other || typeOf(other) === "FLOAT32") return tensor;
    const values = meant(quantized, other);
    return { ...tensor, buffer: buffers.push({ data: rangeOf(new Uint8Array(values.buffer)) }) - 1 };
  });
  return { ...float, buffers, subgraphs: [{ ...float.subgraphs![0]!, tensors }] };
}

/** A model that LiteRT takes: operators that only Circle has are lowered. */
async function outputsOf(model: Model, records: Uint8Array[][]): Promise<Float32Array[][]> {
  const graph = model.subgraphs![0]!;
  const lowered = model.operatorCodes!.some(({ builtinCode }) => CIRCLE_OPERATORS.has(builtinCode ?? 0));
  const places = [...graph.outputs!];
  const names = places.map((at) => (lowered ? `t${at}` : graph.tensors![at]!.name!));
  const values = await valuesOf(lowered ? instrument(model, 0, new Map()).model : model, names, records);
  return names.map((name) => values.get(name)!);
}

const isFloat = (tensor: Tensor) => typeOf(tensor) === "FLOAT32";

/** Integers do not become others; their operators have no quantized result. */
const NOT_QUANTIZED = new Set([
  ...["ARG_MAX", "ARG_MIN", "EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL", "REDUCE_ANY"],
]);

for (const dtype of ["UINT8", "INT16"] as const) {
  describe(dtype, () => {
    for (const [op, row] of Object.entries(ROWS)) {
      if (NOT_QUANTIZED.has(op)) continue;
      test(op, async () => {
        const float = modelFor(op, row);
        const quantized = await modelOf(await dropIn(float, { dtype, likeReference: false }));
        withOwnParameters(quantized, dtype);
        const { tensors = [], inputs, outputs } = quantized.subgraphs![0]!;
        const [first] = [...outputs!].map((at) => tensors[at]!);
        expect(isRounded(first!)).toBe(true);
        const records = recordsFor(op, row);
        const fed = records.map((record) =>
          record.map((bytes, i) => {
            const tensor = tensors[inputs![i]!]!;
            if (!isRounded(tensor)) return bytes;
            const values = new Float32Array(bytes.slice().buffer).map((value) => rounded(value, tensor));
            return new Uint8Array(values.buffer);
          }),
        );
        const expected = await outputsOf(withConstantsOf(quantized, float), fed);
        const actual = await outputsOf(await fakeQuantized(quantized, null), records);
        float.subgraphs![0]!.outputs!.forEach((at, i) => {
          if (!isFloat(float.subgraphs![0]!.tensors![at]!)) return;
          const tensor = tensors[outputs![i]!]!;
          const wanted = expected[i]!.map((values) => [...values].map((value) => rounded(value, tensor)));
          expect({ op, values: actual[i]!.map((values) => [...values]) }).toEqual({ op, values: wanted });
        });
      });
    }
  });
}

test("only operators whose result is no number with a scale are left out", () => {
  for (const op of NOT_QUANTIZED) expect(ROWS[op]!.results!.map((result) => "type" in result)).toEqual([true]);
});
