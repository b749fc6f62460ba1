/** Values of a constant as numbers, a piece at a time: for looking at them and for telling two apart. Nothing is computed with them. */
import { type ByteRange, type Content, isDeferred } from "../model/bytes.ts";
import { bytesPerElement, elementCount, type Tensor, TensorType } from "../model/index.ts";

/** Elements of a piece: small enough to hold, even, so that packed types begin with a byte. */
const PIECE = 1 << 18;

/** What a constant holds, as floats where it has scales. */
export interface ValueFacts {
  readonly least: number;
  readonly most: number;
  readonly mean: number;
  readonly first: readonly number[];
  /** There are more than the first. */
  readonly more: boolean;
}

/** How many values are shown. */
const FIRST = 8;

/** Values of a dense constant, in order, in pieces; undefined for types that are no numbers, sparse ones, and blocks with scales of their own. */
export function* pieces(tensor: Tensor, content: Content | undefined): Generator<Float64Array> | undefined {
  const reader = readerOf(tensor.type ?? TensorType.FLOAT32);
  if (!reader || !content || isDeferred(content)) return;
  const count = elementCount(tensor.shape ?? []);
  const each = bytesPerElement(tensor.type ?? TensorType.FLOAT32)!;
  for (let from = 0; from < count; from += PIECE) {
    const wanted = Math.min(PIECE, count - from);
    const bytes = bytesAt(content, from * each, Math.ceil(wanted * each));
    const view = new DataView(bytes.buffer);
    yield standFor(
      Float64Array.from({ length: wanted }, (_, i) => reader(view, i)),
      from,
      tensor,
    );
  }
}

/** Whether `pieces` can read it. */
export function isReadable(tensor: Tensor, content: Content | undefined): content is ByteRange {
  const type = tensor.type ?? TensorType.FLOAT32;
  if (!content || isDeferred(content) || tensor.sparsity || !readerOf(type)) return false;
  return Math.ceil(elementCount(tensor.shape ?? []) * bytesPerElement(type)!) === content.length;
}

function bytesAt({ source, offset }: ByteRange, from: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  source.readInto(bytes, offset + from);
  return bytes;
}

/** Integers → what they stand for, in place. */
function standFor(
  values: Float64Array,
  from: number,
  { shape = new Int32Array(), quantization }: Tensor,
): Float64Array {
  const { scale, zeroPoint, quantizedDimension: axis = 0 } = quantization ?? {};
  if (!scale?.length) return values;
  const inner = elementCount(Array.from(shape).slice(axis + 1));
  for (let i = 0; i < values.length; i++) {
    const channel = scale.length === 1 ? 0 : Math.floor((from + i) / inner) % scale.length;
    values[i] = (values[i]! - Number(zeroPoint?.[channel] ?? 0n)) * scale[channel]!;
  }
  return values;
}

type Reader = (view: DataView, index: number) => number;

function readerOf(type: TensorType): Reader | undefined {
  return READERS[type];
}

const READERS: Readonly<Partial<Record<TensorType, Reader>>> = {
  [TensorType.FLOAT32]: (view, i) => view.getFloat32(4 * i, true),
  [TensorType.FLOAT16]: (view, i) => view.getFloat16(2 * i, true),
  [TensorType.FLOAT64]: (view, i) => view.getFloat64(8 * i, true),
  [TensorType.BFLOAT16]: (view, i) => {
    const word = new DataView(new ArrayBuffer(4));
    word.setUint32(0, view.getUint16(2 * i, true) << 16);
    return word.getFloat32(0);
  },
  [TensorType.INT64]: (view, i) => Number(view.getBigInt64(8 * i, true)),
  [TensorType.UINT64]: (view, i) => Number(view.getBigUint64(8 * i, true)),
  [TensorType.INT32]: (view, i) => view.getInt32(4 * i, true),
  [TensorType.UINT32]: (view, i) => view.getUint32(4 * i, true),
  [TensorType.INT16]: (view, i) => view.getInt16(2 * i, true),
  [TensorType.UINT16]: (view, i) => view.getUint16(2 * i, true),
  [TensorType.INT8]: (view, i) => view.getInt8(i),
  [TensorType.UINT8]: (view, i) => view.getUint8(i),
  [TensorType.BOOL]: (view, i) => view.getUint8(i),
  // The first of a byte in its lowest bits.
  [TensorType.INT4]: (view, i) => (view.getInt8(i >> 1) << (i % 2 === 0 ? 28 : 24)) >> 28,
  [TensorType.UINT4]: (view, i) => (view.getUint8(i >> 1) >> (4 * (i % 2))) & 15,
  [TensorType.INT2]: (view, i) => (view.getInt8(i >> 2) << (30 - 2 * (i % 4))) >> 30,
};

/** What a constant holds; undefined where that cannot be read here, or is nothing. */
export function valueFacts(tensor: Tensor, content: Content | undefined): ValueFacts | undefined {
  if (!isReadable(tensor, content)) return undefined;
  let [least, most, sum, count] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  let first: number[] = [];
  for (const values of pieces(tensor, content)!) {
    if (count === 0) first = [...values.subarray(0, FIRST)];
    for (const value of values) {
      if (value < least) least = value;
      if (value > most) most = value;
      sum += value;
    }
    count += values.length;
  }
  return count === 0 ? undefined : { least, most, mean: sum / count, first, more: count > FIRST };
}
