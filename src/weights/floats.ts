/** Reading the float32 elements that a constant describes, a piece at a time, into the kernels' memory. */
import { inverse } from "../arithmetic.ts";
import { readRange } from "../model/bytes.ts";
import type { Constant } from "./constant.ts";
import type { Block, IntegerKind, KernelStream } from "./kernels.ts";
import type { Piece } from "./pieces.ts";

/** The elements of a piece as float32 in the kernels' memory. `constant` describes float32 elements. */
export function loadFloats(stream: KernelStream, constant: Constant, piece: Piece): Block {
  switch (constant.kind) {
    case "half": {
      const halves = loadBytes(stream, constant.of, piece.first * 2, piece.count * 2);
      return stream.blockOf(stream.half(halves));
    }
    case "fake": {
      const { symmetric, limit, parameters } = constant;
      const values = loadFloats(stream, constant.of, piece);
      const part = <T extends Float32Array>(list: T) => list.subarray(piece.channel, piece.channel + piece.channels);
      const scale = part(parameters.scale);
      const inv = inverses(scale);
      const min = part(parameters.nudgedMin);
      const max = part(parameters.nudgedMax);
      return stream.blockOf(
        symmetric
          ? stream.fakesym(values, piece, min, max, inv, scale, limit)
          : stream.fakeasym(values, piece, min, max, inv, scale),
      );
    }
    case "dequantized": {
      const part = { channels: piece.channels, inner: piece.inner };
      const scale = constant.scale.subarray(piece.channel, piece.channel + piece.channels);
      const zeroPoint = constant.zeroPoint.subarray(piece.channel, piece.channel + piece.channels);
      const { block, kind } = loadIntegers(stream, constant, piece);
      return stream.blockOf(stream.dequantize(block, kind, part, scale, zeroPoint));
    }
    default:
      return loadBytes(stream, constant, piece.first * 4, piece.count * 4);
  }
}

/** The integers of a piece; 4-bit ones, which may begin within a byte, one a byte. */
function loadIntegers(
  stream: KernelStream,
  { of, dtype }: Constant & { kind: "dequantized" },
  piece: Piece,
): { block: Block; kind: IntegerKind } {
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

/** Bytes of a stored or dense constant in the kernels' memory. */
export function loadBytes(stream: KernelStream, constant: Constant, offset: number, length: number): Block {
  const block = stream.reserve(length);
  if (constant.kind === "stored") {
    constant.content.source.readInto(block.bytes(), constant.content.offset + offset);
  } else if (constant.kind === "dense") {
    block.bytes().set(densified(constant).subarray(offset, offset + length));
  } else if (constant.kind === "shifted") {
    const shifted = loadBytes(stream, constant.of, offset, length);
    const bytes = shifted.bytes();
    // int8 + 128 as uint8 turns the sign bit.
    for (let i = 0; i < bytes.length; i++) bytes[i]! ^= 0x80;
    return shifted;
  } else {
    throw new Error(`a constant that is ${constant.kind} has no bytes of its own`);
  }
  return block;
}

/** Factors f32(1/scale), one a channel. */
export function inverses(scale: Float32Array): Float32Array {
  return Float32Array.from(scale, inverse);
}

/** Sparse constants are expanded whole, once; they are small beside dense ones. */
const expanded = new WeakMap<Constant, Uint8Array>();

function densified(constant: Constant & { kind: "dense" }): Uint8Array {
  let bytes = expanded.get(constant);
  if (!bytes) {
    if (constant.of.kind !== "stored") throw new Error("only stored constants can be sparse");
    bytes = constant.expand(readRange(constant.of.content));
    expanded.set(constant, bytes);
  }
  return bytes;
}
