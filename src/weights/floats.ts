/** Reading the float32 elements that a constant describes, a piece at a time, into the kernels' memory. */

import { readRange } from "../model/bytes.ts";
import { inverse, roundHalfAway } from "../rules/arithmetic.ts";
import type { ChannelLayout, Constant, PackedKind } from "./constant.ts";
import { expander } from "./densify.ts";
import type { Block, IntegerKind, KernelStream } from "./kernels.ts";
import { type Piece, partsOf } from "./pieces.ts";

/** The elements of a piece as float32 in the kernels' memory. `constant` describes float32 elements. */
export function loadFloats(stream: KernelStream, constant: Constant, piece: Piece): Block {
  switch (constant.kind) {
    case "half": {
      const halves = loadBytes(stream, constant.of, piece.first * 2, piece.count * 2);
      return stream.blockOf(stream.half(halves));
    }
    case "fake": {
      const { quantizer, parameters } = constant;
      const values = loadFloats(stream, constant.of, piece);
      const part = <T extends Float32Array>(list: T) => list.subarray(piece.channel, piece.channel + piece.channels);
      const scale = part(parameters.scale);
      const inv = inverses(scale);
      const min = part(parameters.nudgedMin);
      const max = part(parameters.nudgedMax);
      return stream.blockOf(
        quantizer.symmetric
          ? stream.fakesym(values, piece, min, max, inv, scale, quantizer.high)
          : stream.fakeasym(values, piece, min, max, inv, scale),
      );
    }
    case "dequantized":
      return loadDequantized(stream, constant, piece);
    case "blockwise":
      return loadBlocks(stream, constant, piece);
    case "scaled": {
      const values = loadFloats(stream, constant.of, piece);
      const bytes = values.bytes();
      scale(new Float32Array(bytes.buffer, bytes.byteOffset, piece.count), constant, piece);
      return values;
    }
    case "clamped": {
      const { low, high } = constant;
      const values = loadFloats(stream, constant.of, piece);
      const bytes = values.bytes();
      const floats = new Float32Array(bytes.buffer, bytes.byteOffset, piece.count);
      for (let i = 0; i < floats.length; i++) floats[i] = Math.min(high, Math.max(low, floats[i]!));
      return values;
    }
    default:
      return loadBytes(stream, constant, piece.first * 4, piece.count * 4);
  }
}

/** Multiplies values in place; a Float32Array rounds the exact product of two floats once. */
function scale(values: Float32Array, { layout, factor }: Constant & { kind: "scaled" }, piece: Piece): void {
  for (const { first, count, channel, channels, inner } of partsOf(piece, layout)) {
    const from = first - piece.first;
    if (inner === 1) scaleRows(values.subarray(from, from + count), factor.subarray(channel, channel + channels));
    else
      for (let at = from, c = 0; at < from + count; c = (c + 1) % channels) {
        const by = factor[channel + c]!;
        for (const next = at + inner; at < next; at++) values[at]! *= by;
      }
  }
}

/** The same where channels are the last dimension. A loop of its own: it is what most layers' weights take. */
function scaleRows(values: Float32Array, factor: Float32Array): void {
  const channels = factor.length;
  for (let row = 0; row < values.length; row += channels)
    for (let c = 0; c < channels; c++) values[row + c]! *= factor[c]!;
}

/** The piece may be cut along other channels than those that the scales belong to. */
function loadDequantized(stream: KernelStream, constant: Constant & { kind: "dequantized" }, piece: Piece): Block {
  return loadParts(stream, piece, constant.layout, (part) => {
    const to = part.channel + part.channels;
    const scales = constant.scale.subarray(part.channel, to);
    const zeroPoint = constant.zeroPoint.subarray(part.channel, to);
    const { block, kind } = loadIntegers(stream, constant, part);
    return stream.blockOf(stream.dequantize(block, kind, part, scales, zeroPoint));
  });
}

/** Blocks are channels one after the other, whose scales are read with them. */
function loadBlocks(stream: KernelStream, constant: Constant & { kind: "blockwise" }, piece: Piece): Block {
  const { block: inner, scales, count } = constant;
  return loadParts(stream, piece, { outer: 1, channels: count / inner, inner }, (part) => {
    const { channel: first, channels } = part;
    const loaded = loadFloats(stream, scales, { first, count: channels, channel: 0, channels: 1, inner: channels });
    const scale = new Float32Array(loaded.bytes().slice().buffer);
    const { block, kind } = loadIntegers(stream, constant, part);
    return stream.blockOf(stream.dequantize(block, kind, part, scale, new BigInt64Array(channels)));
  });
}

/** A piece that was cut along other channels than `layout`'s, part by part. */
function loadParts(stream: KernelStream, piece: Piece, layout: ChannelLayout, load: (part: Piece) => Block): Block {
  const parts = [...partsOf(piece, layout)];
  if (parts.length === 1) return load(parts[0]!);
  const whole = stream.reserve(piece.count * 4);
  for (const part of parts)
    stream.scoped(() => {
      const loaded = load(part);
      whole.bytes().set(loaded.bytes(), (part.first - piece.first) * 4);
    });
  return whole;
}

/** The integers of a piece; packed ones, which may begin within a byte, one per byte. */
function loadIntegers(
  stream: KernelStream,
  { of, dtype }: { readonly of: Constant; readonly dtype: IntegerKind | PackedKind },
  piece: Piece,
): { block: Block; kind: IntegerKind } {
  if (dtype === "INT2") {
    const from = piece.first >> 2;
    const odd = piece.first % 4;
    const packed = loadBytes(stream, of, from, Math.ceil((odd + piece.count) / 4));
    return { block: stream.copyIn(crumbs(packed.bytes(), odd, piece.count)), kind: "INT8" };
  }
  if (dtype === "INT4" || dtype === "UINT4") {
    const from = Math.floor(piece.first / 2);
    const odd = piece.first % 2;
    const packed = loadBytes(stream, of, from, Math.ceil((odd + piece.count) / 2));
    const signed = dtype === "INT4";
    const all = stream.blockOf(stream.unpack(packed, odd + piece.count, signed));
    return { block: stream.part(all, odd, piece.count), kind: signed ? "INT8" : "UINT8" };
  }
  const size = of.length / of.count;
  return { block: loadBytes(stream, of, piece.first * size, piece.count * size), kind: dtype };
}

/** int2 values one per byte: four in a byte, the first in the lowest bits. */
function crumbs(packed: Uint8Array, first: number, count: number): Int8Array {
  const values = new Int8Array(count);
  for (let i = 0, at = first; i < count; i++, at++) values[i] = (packed[at >> 2]! << (30 - 2 * (at & 3))) >> 30;
  return values;
}

/** Bytes of a stored or dense constant in the kernels' memory. */
export function loadBytes(stream: KernelStream, constant: Constant, offset: number, length: number): Block {
  const block = stream.reserve(length);
  if (constant.kind === "stored") {
    constant.content.source.readInto(block.bytes(), constant.content.offset + offset);
  } else if (constant.kind === "dense") {
    block.bytes().set(densified(stream, constant).subarray(offset, offset + length));
  } else if (constant.kind === "shifted") {
    const shifted = loadBytes(stream, constant.of, offset, length);
    const bytes = shifted.bytes();
    // int8 + 128 as uint8 turns the sign bit, and so does uint8 − 128 as int8.
    for (let i = 0; i < bytes.length; i++) bytes[i]! ^= 0x80;
    return shifted;
  } else if (constant.kind === "divided") {
    const first = offset / 2;
    const count = length / 2;
    const values = loadFloats(stream, constant.of, { first, count, channel: 0, channels: 1, inner: count });
    const integers = dividedBytes(values.bytes(), constant);
    block.bytes().set(integers);
  } else if (constant.kind === "nibbles") {
    const count = Math.min(length * 2, constant.count - offset * 2);
    // First load, then look: memory that grows takes older views away.
    const nibbles = packNibbles(loadBytes(stream, constant.of, offset * 2, count).bytes(), constant.less);
    block.bytes().set(nibbles);
  } else {
    throw new Error(`a constant that is ${constant.kind} has no bytes of its own`);
  }
  return block;
}

/** Integers of float32 values by a true division: the ONNX flow does not multiply with the inverse (§5.7.1). */
function dividedBytes(bytes: Uint8Array, { scale, zeroPoint, quantizer }: Constant & { kind: "divided" }): Uint8Array {
  const { low, high } = quantizer;
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const integers = Int16Array.from(values, (value) => {
    const integer = roundHalfAway(Math.fround(value / scale)) + zeroPoint;
    return Math.max(low, Math.min(high, integer));
  });
  return new Uint8Array(integers.buffer);
}

/** Values minus `less`, two a byte, low nibble first. */
function packNibbles(values: Uint8Array, less: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(values.length / 2));
  values.forEach((value, i) => {
    bytes[i >> 1]! |= ((value - less) & 15) << (i % 2 ? 4 : 0);
  });
  return bytes;
}

/** Factors f32(1/scale), one per channel. */
export function inverses(scale: Float32Array): Float32Array<ArrayBuffer> {
  const factors = new Float32Array(scale.length);
  for (let i = 0; i < scale.length; i++) factors[i] = inverse(scale[i]!);
  return factors;
}

/** Sparse constants are expanded whole, once; they are small beside dense ones. */
function densified({ expanded }: KernelStream, constant: Constant & { kind: "dense" }): Uint8Array {
  let bytes = expanded.get(constant);
  if (!bytes) {
    if (constant.of.kind !== "stored") throw new Error("only stored constants can be sparse");
    const { sparsity, shape, length, count, of } = constant;
    bytes = expander(sparsity, shape, length / count)(readRange(of.content));
    expanded.set(constant, bytes);
  }
  return bytes;
}
