/**
 * Kernels on WASM memory, without copies.
 *
 *     stream.scoped(() => {
 *       const block = stream.reserve(chunk.length);
 *       source.readInto(block.bytes(), chunk.offset);                // straight into WASM memory
 *       const result = stream.asym(block, layout, nmin, nmax, inv);  // a view of WASM memory
 *       writeSync(fd, result, 0, result.byteLength, position);       // straight out of it
 *     });                                                            // memory is free again
 *
 * Memory grows on demand, and growing detaches all views: take `block.bytes()` anew after any other call, and use a
 * result before the next one.
 */
import type { Observation, Range } from "../../build/kernels.d.ts";
import type { Quantizer } from "../rules/schemes.ts";
import { type Block, elements, floats, type KernelLayout, KernelMemory } from "./kernel-memory.ts";

export type { Block, KernelLayout };

/** Integers that `dequantize` takes, in the order of the contract's codes. */
export const INTEGER_KINDS = ["UINT8", "INT8", "INT16", "INT32", "INT64"] as const;
export type IntegerKind = (typeof INTEGER_KINDS)[number];

/** Parameters of channels, one value per channel; `near`: values within the ranges need no clipping (kernels/near.ts). */
export interface Parameters {
  readonly scale: Float32Array<ArrayBuffer>;
  readonly zeroPoint: BigInt64Array<ArrayBuffer>;
  readonly nudgedMin: Float32Array<ArrayBuffer>;
  readonly nudgedMax: Float32Array<ArrayBuffer>;
  /** f32(1 / scale). */
  readonly inv: Float32Array<ArrayBuffer>;
  readonly near: boolean;
}

/** What a block of channels was found to be: how many NaN, and whether a range reaches ±FLT_MAX. Its integers are there when it is near. */
export interface Fused extends Parameters {
  readonly nans: number;
  readonly infinite: boolean;
}

/** What blocks of values became: a byte each, and the bits of a float16 scale for each block. */
export interface Blocks {
  readonly integers: Int8Array<ArrayBuffer>;
  readonly scales: Uint16Array<ArrayBuffer>;
  readonly nans: number;
  readonly infinite: boolean;
}

export class KernelStream extends KernelMemory {
  /** Sparse constants that were laid out densely, by their description: all pieces of one are read one after the other. */
  readonly expanded = new WeakMap<object, Uint8Array>();

  /** Range of all floats of a block, reference §3.1; nothing there: FLT_MAX and -FLT_MAX. */
  minmax(values: Block): Range {
    const record = this.record("minmax", 3, ...floats(values));
    return { min: asFloat(record[0]!), max: asFloat(record[1]!), nans: record[2]! };
  }

  /** Range of an activation, §7.3: NaN and -FLT_MAX are skipped; `seen` is 0 when nothing was left. */
  observe(values: Block): Observation {
    const record = this.record("observe", 3, ...floats(values));
    return { min: asFloat(record[0]!), max: asFloat(record[1]!), seen: record[2]! };
  }

  /**
   * Ranges of the channels, §3.1: copies, one value per channel. Without `start` a channel's first element starts its
   * range (NaN stays); with it the scan goes on from there: give the ranges of the part before, or `laterStart` when
   * parts are scanned apart and joined by `mergeRanges`.
   */
  channels(
    values: Block,
    layout: KernelLayout,
    start?: { mins: Float32Array; maxs: Float32Array },
  ): { mins: Float32Array<ArrayBuffer>; maxs: Float32Array<ArrayBuffer>; nans: number } {
    const mins = start === undefined ? [0, 0] : this.list(start.mins, layout.channels);
    const maxs = start === undefined ? [0, 0] : this.list(start.maxs, layout.channels);
    const [minsAt, minCount, maxsAt, maxCount, nans] = this.record(
      "channels",
      5,
      ...this.layout(values, layout),
      ...mins,
      ...maxs,
    );
    return {
      mins: new Float32Array(this.buffer, minsAt, minCount).slice(),
      maxs: new Float32Array(this.buffer, maxsAt, maxCount).slice(),
      nans: nans!,
    };
  }

  /** QA, §3.4: 0..255, one byte an element. */
  asym(
    values: Block,
    layout: KernelLayout,
    nmin: Float32Array,
    nmax: Float32Array,
    inv: Float32Array,
  ): Uint8Array<ArrayBuffer> {
    return this.result(Uint8Array, "asym", ...this.layout(values, layout), ...this.lists(layout, nmin, nmax, inv));
  }

  /** Parameters of channels' ranges: QA (§3.2), or QS (§3.3) for a symmetric quantizer. Kernels count from 0; zero points from `low`. */
  parameters(
    mins: Float32Array,
    maxs: Float32Array,
    { symmetric, low, high, smallestScale }: Pick<Quantizer, "symmetric" | "low" | "high" | "smallestScale">,
  ): Parameters {
    if (!symmetric && (high - low !== 255 || smallestScale !== QA_SMALLEST))
      throw new Error("QA has kernels for 256 integers and one smallest scale only");
    const lists = [this.copyIn(mins).pointer, mins.length, this.copyIn(maxs).pointer, maxs.length];
    const words = symmetric
      ? this.record("symparameters", 11, ...lists, high, smallestScale)
      : this.record("asymparameters", 11, ...lists);
    const { scale, zeroPoint, nudgedMin, nudgedMax, inv } = this.parameterViews(words, mins.length);
    return {
      scale: scale.slice(),
      zeroPoint: symmetric || low === 0 ? zeroPoint.slice() : zeroPoint.map((each) => each + BigInt(low)),
      nudgedMin: nudgedMin.slice(),
      nudgedMax: nudgedMax.slice(),
      inv: inv.slice(),
      near: words[10] === 1,
    };
  }

  /**
   * Ranges, parameters and integers of whole channels in one call (kernels/fused.ts): QA, or QS into two bytes or one. Integers go
   * to `to`; where the channels are not near, they are not there. The lists are views of kernel memory.
   */
  fused(
    values: Block,
    layout: KernelLayout,
    { symmetric, bits, high, smallestScale }: Pick<Quantizer, "symmetric" | "bits" | "high" | "smallestScale">,
    to: Block,
  ): Fused {
    const blocks = this.layout(values, layout);
    const words = this.into(to, () => {
      if (!symmetric) return this.record("fusedasym", 15, ...blocks);
      if (bits === 16) return this.record("fusedsym", 15, ...blocks, smallestScale);
      return this.record("fusedbyte", 15, ...blocks, high, smallestScale);
    });
    const lists = this.parameterViews(words.subarray(2), layout.channels);
    return { ...lists, nans: words[12]!, infinite: words[13] === 1, near: words[14] === 1 };
  }

  /** QA of values near their range (kernels/near.ts). */
  asymnear(values: Block, layout: KernelLayout, nmin: Float32Array, inv: Float32Array): Uint8Array<ArrayBuffer> {
    return this.result(Uint8Array, "asymnear", ...this.layout(values, layout), ...this.lists(layout, nmin, inv));
  }

  /** QS with limit 32767 of values near their range (kernels/near.ts). */
  symnear(values: Block, layout: KernelLayout, inv: Float32Array): Int16Array<ArrayBuffer> {
    return this.result(Int16Array, "symnear", ...this.layout(values, layout), ...this.lists(layout, inv));
  }

  /** QA0, §3.4: without clipping. */
  asym0(values: Block, layout: KernelLayout, min: Float32Array, inv: Float32Array): Uint8Array<ArrayBuffer> {
    return this.result(Uint8Array, "asym0", ...this.layout(values, layout), ...this.lists(layout, min, inv));
  }

  /** QS, §3.4: ±limit, limit up to 32767. */
  sym(
    values: Block,
    layout: KernelLayout,
    nmin: Float32Array,
    nmax: Float32Array,
    inv: Float32Array,
    limit: number,
  ): Int16Array<ArrayBuffer> {
    const lists = this.lists(layout, nmin, nmax, inv);
    return this.result(Int16Array, "sym", ...this.layout(values, layout), ...lists, limit);
  }

  /** QS0, §3.4: without clipping, ±32767. */
  sym0(values: Block, layout: KernelLayout, inv: Float32Array): Int16Array<ArrayBuffer> {
    return this.result(Int16Array, "sym0", ...this.layout(values, layout), ...this.lists(layout, inv));
  }

  /** QS with one byte an element: limit 127 (int8) or 7 (int4, still unpacked; see nibbles). */
  symbyte(
    values: Block,
    layout: KernelLayout,
    nmin: Float32Array,
    nmax: Float32Array,
    inv: Float32Array,
    limit: number,
  ): Int8Array<ArrayBuffer> {
    const lists = this.lists(layout, nmin, nmax, inv);
    return this.result(Int8Array, "symbyte", ...this.layout(values, layout), ...lists, limit);
  }

  /** Integers of blocks of values, a byte each, and the blocks' float16 scales (kernels/blocks.ts): views of kernel memory. */
  blocks(values: Block, block: number, limit: number): Blocks {
    const words = this.record("blocks", 6, ...floats(values), block, limit);
    const { buffer } = this;
    return {
      integers: new Int8Array(buffer, words[0]!, words[1]!),
      scales: new Uint16Array(buffer, words[2]!, words[3]!),
      nans: words[4]!,
      infinite: words[5] === 1,
    };
  }

  /** QP, §3.4: 0..255 with given scale and zero point. */
  propagatebyte(values: Block, inv: number, zeroPoint: number): Uint8Array<ArrayBuffer> {
    return this.result(Uint8Array, "propagatebyte", ...floats(values), inv, zeroPoint);
  }

  /** QP, §3.4: ±32767. */
  propagateshort(values: Block, inv: number, zeroPoint: number): Int16Array<ArrayBuffer> {
    return this.result(Int16Array, "propagateshort", ...floats(values), inv, zeroPoint);
  }

  /** §5.2: QA, then f32(q) * scale + nmin. */
  fakeasym(
    values: Block,
    layout: KernelLayout,
    nmin: Float32Array,
    nmax: Float32Array,
    inv: Float32Array,
    scale: Float32Array,
  ): Float32Array<ArrayBuffer> {
    const lists = this.lists(layout, nmin, nmax, inv, scale);
    return this.result<Float32Array<ArrayBuffer>>(Float32Array, "fakeasym", ...this.layout(values, layout), ...lists);
  }

  /** §5.2: QS, then f32(q) * scale. */
  fakesym(
    values: Block,
    layout: KernelLayout,
    nmin: Float32Array,
    nmax: Float32Array,
    inv: Float32Array,
    scale: Float32Array,
    limit: number,
  ): Float32Array<ArrayBuffer> {
    const lists = this.lists(layout, nmin, nmax, inv, scale);
    return this.result<Float32Array<ArrayBuffer>>(
      Float32Array,
      "fakesym",
      ...this.layout(values, layout),
      ...lists,
      limit,
    );
  }

  /** §3.6: copies of the scales sin * sw[i], the int32 values, and how many of them did not fit. */
  bias(values: Block, sin: number, sw: Float32Array): [Float32Array, Int32Array, number] {
    const [scales, count, integers, length, overflowed] = this.biasRecord("bias", values, sin, sw);
    return [
      new Float32Array(this.buffer, scales, count).slice(),
      new Int32Array(this.buffer, integers, length).slice(),
      overflowed!,
    ];
  }

  /** §3.6 with int64 values, for int16 activations. */
  biaslong(values: Block, sin: number, sw: Float32Array): [Float32Array, BigInt64Array, number] {
    const [scales, count, integers, length, overflowed] = this.biasRecord("biaslong", values, sin, sw);
    return [
      new Float32Array(this.buffer, scales, count).slice(),
      new BigInt64Array(this.buffer, integers, length).slice(),
      overflowed!,
    ];
  }

  /** float16 bit patterns as float32, exact. */
  half(values: Block): Float32Array<ArrayBuffer> {
    return this.result<Float32Array<ArrayBuffer>>(Float32Array, "half", values.pointer, elements(values, 2));
  }

  /** float16 bit patterns of float32 values, to the nearest, and how many became infinite. */
  tohalf(values: Block): { halves: Uint16Array<ArrayBuffer>; overflowed: number } {
    const [pointer, length, overflowed] = this.record("tohalf", 3, ...floats(values));
    return {
      halves: new Uint16Array(this.buffer, pointer!, length!),
      overflowed: overflowed!,
    };
  }

  /** int2 values, one per byte, packed four per byte, the first in the lowest two bits. */
  crumbs(values: Block): Uint8Array<ArrayBuffer> {
    return this.result(Uint8Array, "crumbs", values.pointer, values.byteLength);
  }

  /** int4 values, one per byte, packed two per byte, the first in the low four bits (§5.4). */
  nibbles(values: Block): Uint8Array<ArrayBuffer> {
    return this.result(Uint8Array, "nibbles", values.pointer, values.byteLength);
  }

  /** int4 values packed two per byte become one per byte. */
  unpack(values: Block, count: number, signed: boolean): Int8Array<ArrayBuffer> {
    return this.result(Int8Array, "unpack", values.pointer, values.byteLength, count, signed ? 1 : 0);
  }

  /** §5.6: (q - zero point) * scale, two f32 operations. */
  dequantize(
    values: Block,
    kind: IntegerKind,
    layout: KernelLayout,
    scale: Float32Array,
    zeroPoint: BigInt64Array,
  ): Float32Array<ArrayBuffer> {
    const { channels, inner } = layout;
    const scales = this.list(scale, channels);
    if (zeroPoint.length !== channels)
      throw new RangeError(`a list of ${zeroPoint.length} values for ${channels} channels`);
    const zeroPoints = this.copyIn(zeroPoint);
    return this.result<Float32Array<ArrayBuffer>>(
      Float32Array,
      "dequantize",
      ...[values.pointer, values.byteLength, INTEGER_KINDS.indexOf(kind), channels, inner],
      ...scales,
      ...[zeroPoints.pointer, channels],
    );
  }

  /** Counts values in place; gives how many were dealt with (see kernels.wit). `pages`: 512 int32, `counts`: uint32. */
  histogram(values: Block, pages: Block, counts: Block): number {
    const [pointer, length] = [counts.pointer, elements(counts, 4)];
    return this.record("histogram", 3, ...floats(values), ...floats(pages), pointer, length)[2]!;
  }

  /** The five lists that begin a record. */
  private parameterViews(words: Uint32Array, count: number): Omit<Parameters, "near"> {
    const { buffer } = this;
    return {
      scale: new Float32Array<ArrayBuffer>(buffer, words[0]!, count),
      zeroPoint: new BigInt64Array<ArrayBuffer>(buffer, words[2]!, count),
      nudgedMin: new Float32Array<ArrayBuffer>(buffer, words[4]!, count),
      nudgedMax: new Float32Array<ArrayBuffer>(buffer, words[6]!, count),
      inv: new Float32Array<ArrayBuffer>(buffer, words[8]!, count),
    };
  }

  private biasRecord(name: string, values: Block, sin: number, sw: Float32Array): Uint32Array {
    const count = elements(values, 4);
    if (sw.length !== 1 && sw.length !== count)
      throw new RangeError(`${name}: ${sw.length} weight scales for ${count} values`);
    const list = this.copyIn(sw);
    return this.record(name, 5, values.pointer, count, sin, list.pointer, sw.length);
  }
}

/** SMALLEST in kernels/parameters.ts. */
const QA_SMALLEST = 1e-5;

const word = new DataView(new ArrayBuffer(4));

/** The float with these bits. */
function asFloat(bits: number): number {
  word.setUint32(0, bits);
  return word.getFloat32(0);
}
