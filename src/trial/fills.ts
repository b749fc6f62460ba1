/** What inputs are filled with when a model is run for a try. */
import { type Model, type Tensor, TensorType } from "../model/index.ts";

/**
 * middle: a quarter of their range above the zero point for quantized integers, 0.5 for floats, so that nothing divides by 0;
 * zero: zero points and zeros; spread: values over the range. Integers without scales are 0 always: they may be indices and shapes.
 */
export const FILLS = ["middle", "zero", "spread"] as const;
export type FillName = (typeof FILLS)[number];

/** The tensor that a signature's input is. Names are unique in a signature; without one they are the tensors' own. */
export function inputOf(model: Model, signature: number, name: string): Tensor {
  const own = model.signatureDefs?.[signature];
  const graph = model.subgraphs![own?.subgraphIndex ?? 0]!;
  const mapped = own?.inputs?.find((each) => each.name === name)?.tensorIndex;
  if (mapped !== undefined) return graph.tensors![mapped]!;
  const index = Array.from(graph.inputs ?? []).find((each) => graph.tensors![each]!.name === name);
  return index === undefined ? {} : graph.tensors![index]!;
}

type Kind = (bytes: Uint8Array<ArrayBuffer>) => {
  values: { [place: number]: number; readonly length: number };
  range: number;
};

/** Types of quantized inputs, and how many values they have. */
const INTEGERS: ReadonlyMap<TensorType, Kind> = new Map<TensorType, Kind>([
  [TensorType.INT8, (bytes) => ({ values: new Int8Array(bytes.buffer), range: 256 })],
  [TensorType.UINT8, (bytes) => ({ values: bytes, range: 256 })],
  [TensorType.INT16, (bytes) => ({ values: new Int16Array(bytes.buffer), range: 65536 })],
]);

/** Fills a tensor whose bytes are 0. */
export function fillTensor(
  { type = TensorType.FLOAT32, quantization }: Tensor,
  target: Uint8Array,
  fill: FillName,
): void {
  const bytes = new Uint8Array(target.length);
  // Eight values between 1/8 and 1, in no order that a sum would cancel.
  const share = (i: number) => (fill === "middle" ? 0.5 : fill === "zero" ? 0 : (((i * 5) % 8) + 1) / 8);
  if (type === TensorType.FLOAT32) {
    const values = new Float32Array(bytes.buffer);
    for (let i = 0; i < values.length; i++) values[i] = share(i);
  } else {
    const integers = INTEGERS.get(type);
    if (!integers || !quantization?.scale?.length) return;
    const { values, range } = integers(bytes);
    const zero = Number(quantization.zeroPoint?.[0] ?? 0n);
    const high = type === TensorType.UINT8 ? range - 1 : range / 2 - 1;
    for (let i = 0; i < values.length; i++) {
      const step = Math.round((share(i) * range) / 2);
      values[i] = zero + step <= high ? zero + step : Math.max(zero - step, high + 1 - range);
    }
  }
  target.set(bytes);
}
