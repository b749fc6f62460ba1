/**
 * Constants as descriptions: where the bytes are and what happens to them on the way out.
 *
 * Nothing here reads weights. The weight stream (fill.ts) and small helpers (scan.ts) interpret a description.
 */
import { type ByteRange, rangeOf } from "../model/bytes.ts";
import type { SparsityParameters } from "../model/index.ts";
import type { Quantizer } from "../rules/schemes.ts";
import type { IntegerKind } from "./kernels.ts";

/** How float32 elements are seen: row-major [outer, channels, inner]; one channel when per tensor. */
export interface ChannelLayout {
  readonly outer: number;
  readonly channels: number;
  readonly inner: number;
}

/** Representable ranges and scales of weights, each of length `channels`; filled in when they are scanned. */
export interface ChannelParameters {
  readonly scale: Float32Array;
  readonly zeroPoint: BigInt64Array;
  readonly nudgedMin: Float32Array;
  readonly nudgedMax: Float32Array;
}

/** Scales of a tensor, one or one per channel; maybe filled in by the stream. */
export interface Scales {
  readonly scale: Float32Array;
}

/**
 * How float32 elements become integers (names of §3.4):
 * - `scan`: range of each channel first, then QA (asymmetric) or QS (symmetric); `parameters` are filled in by the stream.
 * - `clip`: the same with parameters known already.
 * - `known`: QA0/QS0, no clipping, parameters from the fake-quantization before.
 * - `propagated`: QP, parameters from a neighbour.
 * - `blocks`: blocks along the last axis, each with a float16 scale that the stream writes to a constant of its own (`block scales`).
 * - `bias`: QB (§3.6), scales from input and weights; `quant.scale` is filled in by the stream.
 */
export type Encoding =
  | { rule: "scan"; quantizer: Quantizer; layout: ChannelLayout; parameters: ChannelParameters }
  | { rule: "clip"; quantizer: Quantizer; layout: ChannelLayout; parameters: ChannelParameters }
  | { rule: "known"; quantizer: Quantizer; layout: ChannelLayout; min: Float32Array; scale: Float32Array }
  | { rule: "propagated"; quantizer: Quantizer; scale: number; zeroPoint: number }
  | { rule: "blocks"; quantizer: Quantizer; layout: ChannelLayout }
  | {
      rule: "bias";
      wide: boolean;
      inputScale: number;
      weights: Scales;
      quant: Scales;
      /**
       * Raise the weights' scales where a value would be beyond ±limit, and, of channels that have a bias, those below `least`: kernels take
       * the share of such a channel in the result for 0. They must be symmetric.
       */
      raise?: { weights: Constant; limit: number; least: number; onRaise(channels: number): void };
      onOverflow(count: number): void;
    };

/** Integers of less than a byte. */
export type PackedKind = "INT4" | "UINT4" | "INT2";
/** Rules that look at each element alone, once parameters are there. */
export type ElementEncoding = Exclude<Encoding, { rule: "bias" } | { rule: "blocks" }>;

/** What a constant holds. `count` is the number of elements, `length` the number of bytes of the described form. */
export type Constant =
  /** Bytes as they are in a file or in memory. */
  | { readonly kind: "stored"; readonly content: ByteRange; readonly count: number; readonly length: number }
  /** float16 seen as float32. */
  | { readonly kind: "half"; readonly of: Constant; readonly count: number; readonly length: number }
  /** Sparse elements laid out densely (same element type). */
  | {
      readonly kind: "dense";
      readonly of: Constant;
      readonly sparsity: SparsityParameters;
      readonly shape: readonly number[];
      readonly count: number;
      readonly length: number;
    }
  /** float32 rounded to quantized values and back (§5.2). `scan` parameters are known by then. */
  | {
      readonly kind: "fake";
      readonly of: Constant;
      readonly quantizer: Quantizer;
      readonly layout: ChannelLayout;
      readonly parameters: ChannelParameters;
      readonly count: number;
      readonly length: number;
    }
  /** Integers as the float32 values they stand for (§5.6). `of` holds `dtype` elements. */
  | {
      readonly kind: "dequantized";
      readonly of: Constant;
      readonly dtype: IntegerKind | PackedKind;
      readonly layout: ChannelLayout;
      readonly scale: Float32Array;
      readonly zeroPoint: BigInt64Array;
      readonly count: number;
      readonly length: number;
    }
  /**
   * Integers as the float32 values they stand for, each run of `block` elements with a scale of its own: f32(q) · scale. There may be
   * millions of scales, so they are a constant (float32 elements), read with their blocks.
   */
  | {
      readonly kind: "blockwise";
      readonly of: Constant;
      readonly dtype: IntegerKind | PackedKind;
      readonly block: number;
      readonly scales: Constant;
      readonly count: number;
      readonly length: number;
    }
  /** float32 times one factor per channel, rounded once: f32(value * factor[channel]). */
  | {
      readonly kind: "scaled";
      readonly of: Constant;
      readonly layout: ChannelLayout;
      readonly factor: Float32Array;
      readonly count: number;
      readonly length: number;
    }
  /** float32 held between two limits. */
  | {
      readonly kind: "clamped";
      readonly of: Constant;
      readonly low: number;
      readonly high: number;
      readonly count: number;
      readonly length: number;
    }
  /** float32 as integers of 16 bits: round(value / scale) + zeroPoint within the quantizer's limits, the division in f32 (§5.7.1). */
  | {
      readonly kind: "divided";
      readonly of: Constant;
      readonly quantizer: Quantizer;
      readonly scale: number;
      readonly zeroPoint: number;
      readonly count: number;
      readonly length: number;
    }
  /** uint8 values of 0..15 minus `less`, two a byte, low nibble first (§5.7.2). */
  | {
      readonly kind: "nibbles";
      readonly of: Constant;
      readonly less: 0 | 8;
      readonly count: number;
      readonly length: number;
    }
  /** int8 bytes plus 128, as uint8 (§5.5), or uint8 bytes less 128, as int8. */
  | { readonly kind: "shifted"; readonly of: Constant; readonly count: number; readonly length: number }
  /** float32 rounded to float16. `overflowed`, in shared memory: how many numbers were too large; counted by the stream. */
  | {
      readonly kind: "halved";
      readonly of: Constant;
      readonly overflowed: Int32Array;
      readonly count: number;
      readonly length: number;
    }
  /** The float16 scales of the blocks of a constant; written while that one is. */
  | { readonly kind: "block scales"; readonly of: Constant; readonly count: number; readonly length: number }
  /** float32 encoded as integers. `bytes` is the size of one; ½ = two a byte, ¼ = four. */
  | {
      readonly kind: "encoded";
      readonly of: Constant;
      readonly encoding: Encoding;
      readonly bytes: number;
      readonly count: number;
      readonly length: number;
    };

/** A constant of bytes that exist. */
export function stored(content: ByteRange, count: number): Constant {
  return { kind: "stored", content, count, length: content.length };
}

/** A constant that encodes `of` into integers. */
export function encoded(of: Constant, encoding: Encoding): Constant {
  const bytes = encoding.rule === "bias" ? (encoding.wide ? 8 : 4) : encoding.quantizer.bits / 8;
  return { kind: "encoded", of, encoding, bytes, count: of.count, length: Math.ceil(of.count * bytes) };
}

/** A constant that rounds `of` to float16. */
export function halved(of: Constant): Constant & { kind: "halved" } {
  const overflowed = new Int32Array(new SharedArrayBuffer(4));
  return { kind: "halved", of, overflowed, count: of.count, length: of.count * 2 };
}

/**
 * A constant [rows, columns] whose rows consist of blocks of `block` elements, a divisor of columns, with the constant of their scales
 * [rows, columns / block].
 */
export function inBlocks(of: Constant, block: number, quantizer: Quantizer): { integers: Constant; scales: Constant } {
  const channels = of.count / block;
  const integers = encoded(of, { rule: "blocks", quantizer, layout: { outer: 1, channels, inner: block } });
  return { integers, scales: { kind: "block scales", of: integers, count: channels, length: channels * 2 } };
}

/** Weights as floats that are integers of blocks times their scales. */
export function blockwise(integers: Constant, scales: Float32Array, block: number): Constant & { kind: "blockwise" } {
  const { count } = integers;
  const bytes = new Uint8Array(scales.buffer as ArrayBuffer, scales.byteOffset, scales.byteLength);
  return {
    ...{ kind: "blockwise", of: integers, dtype: "INT8", block, count },
    scales: stored(rangeOf(bytes), scales.length),
    length: count * 4,
  };
}

/** One channel over everything. */
export function wholeTensor(count: number): ChannelLayout {
  return { outer: 1, channels: 1, inner: count };
}

/** The layout of channels along `axis` of a shape. */
export function channelsAlong(shape: readonly number[], axis: number): ChannelLayout {
  const product = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
  // A vector has one axis, whatever a file says (biases with quantized_dimension 3).
  const along = shape.length === 1 ? 0 : axis;
  return { outer: product(shape.slice(0, along)), channels: shape[along] ?? 1, inner: product(shape.slice(along + 1)) };
}

/** Empty parameters for `channels` channels, to be filled in: on shared memory, so that Workers write in place. */
export function emptyParameters(channels: number): ChannelParameters {
  // One for all four lists: a model has hundreds of weights, and each shared buffer is a mapping of the system.
  const shared = new SharedArrayBuffer(channels * 20);
  const floats = (row: number) => new Float32Array(shared, channels * row * 4, channels);
  return {
    zeroPoint: new BigInt64Array(shared, 0, channels),
    scale: floats(2),
    nudgedMin: floats(3),
    nudgedMax: floats(4),
  };
}
