/** Encoding one piece of a constant: the only place where a description meets the kernels. Runs in every thread. */

import { timed } from "../base/timings.ts";
import { FLT_MAX, inverse } from "../rules/arithmetic.ts";
import type { Quantizer } from "../rules/schemes.ts";
import type { ChannelLayout, ChannelParameters, Constant, ElementEncoding } from "./constant.ts";
import { inverses, loadFloats } from "./floats.ts";
import { type Block, type ChannelRanges, type KernelStream, laterStart, type Parameters } from "./kernels.ts";
import type { Sink } from "./output.ts";
import { blocksOf, type Piece, piecesOf } from "./pieces.ts";

/** Largest number of elements that a thread takes at once: 4 MiB of float32. */
export const PIECE_LIMIT = 1 << 20;
/** Elements that are read, scanned and encoded together where channels allow it: 512 KiB, which stay in a core's cache. */
export const BLOCK_LIMIT = 1 << 17;
/** Tensors up to this many elements are read once even when their channels are interleaved: 32 MiB of float32. */
export const WHOLE_LIMIT = 1 << 23;

/** What is wrong with scanned values, or null. The reference accepts NaN and infinities (§3.1); they make no sense as weights. */
export function problemOf(name: string, { mins, maxs, nans }: ChannelRanges): string | null {
  let infinite = false;
  for (let i = 0; i < mins.length; i++) infinite ||= mins[i]! <= -FLT_MAX || maxs[i]! >= FLT_MAX;
  return problemOfFound(name, nans, infinite);
}

/** The same of a block whose kernel has counted NaN and looked for ±FLT_MAX. */
export function problemOfFound(name: string, nans: number, infinite: boolean): string | null {
  if (nans === 0 && !infinite) return null;
  const what = [nans > 0 ? `${nans} NaN` : null, infinite ? "infinite values" : null].filter(Boolean).join(" and ");
  return `constant "${name}": has ${what}; it cannot be quantized. Mend the model or its training`;
}

/** As problemOf, where only a neighbour's range counts; ±FLT_MAX may stand for infinity there (§3.9). */
export function problemOfNonFinite(name: string, { mins, maxs, nans }: ChannelRanges): string | null {
  const clamp = (list: Float32Array) => list.map((v) => (Number.isFinite(v) ? 0 : v));
  return problemOf(name, { mins: clamp(mins), maxs: clamp(maxs), nans });
}

/** Ranges of each channel (§3.1), read in pieces. */
export function scanRanges(stream: KernelStream, constant: Constant, layout: ChannelLayout): ChannelRanges {
  const ranges: ChannelRanges = { ...laterStart(layout.channels), nans: 0 };
  for (const piece of piecesOf(layout, PIECE_LIMIT)) scanInto(stream, "", constant, piece, 0, ranges);
  return ranges;
}

/** Ranges of the channels of one piece, as a later part of its tensor (see mergeRanges). */
export function scanPiece(stream: KernelStream, name: string, constant: Constant, piece: Piece): ChannelRanges {
  const ranges: ChannelRanges = { ...laterStart(piece.channels), nans: 0 };
  scanInto(stream, name, constant, piece, piece.channel, ranges);
  return ranges;
}

/** Goes on with `ranges`, whose first is that of `firstChannel`, over a piece. */
function scanInto(
  stream: KernelStream,
  name: string,
  constant: Constant,
  piece: Piece,
  firstChannel: number,
  ranges: ChannelRanges,
): void {
  for (const block of blocksOf(piece, BLOCK_LIMIT, true)) {
    stream.scoped(() => {
      const at = block.channel - firstChannel;
      const part = (list: Float32Array) => list.subarray(at, at + block.channels);
      const bytes = block.count * 4;
      const values = timed("read", () => loadFloats(stream, constant, block), bytes, name);
      const start = { mins: part(ranges.mins), maxs: part(ranges.maxs) };
      const next = timed("scan piece", () => stream.channels(values, block, start), bytes, name);
      ranges.mins.set(next.mins, at);
      ranges.maxs.set(next.maxs, at);
      ranges.nans += next.nans;
    });
  }
}

/** Notes the parameters of the channels from `channel` on. */
export function setParameters(into: ChannelParameters, computed: Parameters, channel: number): void {
  into.scale.set(computed.scale, channel);
  into.nudgedMin.set(computed.nudgedMin, channel);
  into.nudgedMax.set(computed.nudgedMax, channel);
  into.zeroPoint.set(computed.zeroPoint, channel);
}

/** Integers of two bytes; all others are encoded as bytes, and packed later where they are smaller. */
function isShort({ bits }: Quantizer): boolean {
  return bits === 16;
}

/** Bytes below 0: the kernels' 0..255 minus 128. */
function isMoved({ symmetric, low }: Quantizer): boolean {
  return !symmetric && low < 0;
}

/** Integers 0..255 as −128..127, in place. */
function moved(bytes: Uint8Array): Uint8Array {
  for (let i = 0; i < bytes.length; i++) bytes[i]! ^= 0x80;
  return bytes;
}

/** Bounds that clip nothing. */
function unbounded(channels: number): [Float32Array, Float32Array] {
  return [new Float32Array(channels).fill(-Infinity), new Float32Array(channels).fill(Infinity)];
}

/** Runs of one channel that are shorter than this have a quicker way in the kernels for any values. */
const LONG_RUN = 64;

/**
 * The encoded elements of a piece whose float32 elements are in `values`: a view of the kernels' memory. `computed`: parameters
 * from these very values, which may allow a quicker way; otherwise those of the encoding count.
 */
export function encodePiece(
  stream: KernelStream,
  values: Block,
  encoding: ElementEncoding,
  piece: Piece,
  computed: Parameters | null,
): Uint8Array | Int16Array | Int8Array {
  const integers = counted(stream, values, encoding, piece, computed);
  return isMoved(encoding.quantizer) ? moved(bytesOf(integers)) : integers;
}

/** As encodePiece, asymmetric integers counted from 0. */
function counted(
  stream: KernelStream,
  values: Block,
  encoding: ElementEncoding,
  piece: Piece,
  computed: Parameters | null,
): Uint8Array | Int16Array | Int8Array {
  const { symmetric, low, high } = encoding.quantizer;
  const part = (list: Float32Array) => list.subarray(piece.channel, piece.channel + piece.channels);
  switch (encoding.rule) {
    case "scan":
    case "clip": {
      const nudgedMin = computed?.nudgedMin ?? part(encoding.parameters.nudgedMin);
      const nudgedMax = computed?.nudgedMax ?? part(encoding.parameters.nudgedMax);
      const inv = computed?.inv ?? inverses(part(encoding.parameters.scale));
      if (computed?.near && (piece.channels === 1 || piece.inner >= LONG_RUN)) {
        if (!symmetric) return stream.asymnear(values, piece, nudgedMin, inv);
        return stream.symnear(values, piece, inv);
      }
      if (!symmetric) return stream.asym(values, piece, nudgedMin, nudgedMax, inv);
      const lists = [nudgedMin, nudgedMax, inv] as const;
      return isShort(encoding.quantizer)
        ? stream.sym(values, piece, ...lists, high)
        : stream.symbyte(values, piece, ...lists, high);
    }
    case "known": {
      const inv = inverses(part(encoding.scale));
      if (!symmetric) return stream.asym0(values, piece, part(encoding.min), inv);
      return isShort(encoding.quantizer)
        ? stream.sym0(values, piece, inv)
        : stream.symbyte(values, piece, ...unbounded(inv.length), inv, high);
    }
    case "propagated": {
      const inv = inverse(encoding.scale);
      if (!symmetric) return stream.propagatebyte(values, inv, encoding.zeroPoint - low);
      return isShort(encoding.quantizer)
        ? stream.propagateshort(values, inv, encoding.zeroPoint)
        : stream.symbyte(values, piece, ...unbounded(1), Float32Array.of(inv), high);
    }
  }
}

/** Where a constant's encoded elements go: those of number `first` on, `size` bytes each, to offset + first * size of the sink. */
export interface Destination {
  readonly sink: Sink;
  readonly offset: number;
  readonly size: number;
}

/**
 * Reads a piece, scans it if the encoding wants that, encodes it and gives the bytes to their destination, in order and in any number
 * of parts. `known`: parameters from a scan of the whole constant. Returns what is wrong with the values, or null.
 */
export function streamPiece(
  stream: KernelStream,
  name: string,
  constant: Constant & { kind: "encoded" },
  piece: Piece,
  known: Parameters | null,
  to: Destination,
): string | null {
  const scan = constant.encoding.rule === "scan" && known === null;
  for (const block of blocksOf(piece, BLOCK_LIMIT, !scan)) {
    const problem = scan
      ? scanAndEncode(stream, name, constant, block, to)
      : encodeOnly(stream, name, constant, block, known, to);
    if (problem) return problem;
  }
  return null;
}

/** The part of a constant's parameters that belongs to a piece. */
function partOf({ near, ...lists }: Parameters, { channel, channels }: Piece): Parameters {
  const to = channel + channels;
  return {
    scale: lists.scale.subarray(channel, to),
    zeroPoint: lists.zeroPoint.subarray(channel, to),
    nudgedMin: lists.nudgedMin.subarray(channel, to),
    nudgedMax: lists.nudgedMax.subarray(channel, to),
    inv: lists.inv.subarray(channel, to),
    near,
  };
}

/** Whether a block is one row of channels that are worth the call that does everything in one (kernels/fused.ts). */
function canBeFused({ encoding }: Constant & { kind: "encoded" }, { count, channels, inner }: Piece): boolean {
  if (encoding.rule !== "scan") return false;
  if (isMoved(encoding.quantizer)) return false;
  return count === channels * inner && (channels === 1 || inner >= LONG_RUN);
}

/** A block whose parameters follow from its own values. */
function scanAndEncode(
  stream: KernelStream,
  name: string,
  constant: Constant & { kind: "encoded" },
  block: Piece,
  to: Destination,
): string | null {
  const { encoding } = constant;
  if (encoding.rule !== "scan") throw new Error(`"${name}" has no ranges to look for`);
  const { quantizer, parameters } = encoding;
  return stream.scoped(() => {
    const bytes = block.count * 4;
    const values = timed("read", () => loadFloats(stream, constant.of, block), bytes, name);
    const offset = to.offset + block.first * to.size;
    if (canBeFused(constant, block)) {
      const length = block.count * to.size;
      const room = to.sink.room(length, offset);
      const place = room ?? stream.reserve(length);
      const found = timed("scan and encode", () => stream.fused(values, block, quantizer, place), bytes, name);
      setParameters(parameters, found, block.channel);
      const problem = problemOfFound(name, found.nans, found.infinite);
      if (problem) return problem;
      const encode = () => encodePiece(stream, values, encoding, block, null);
      if (!found.near) timed("encode", () => stream.into(place, encode), bytes, name);
      if (!room) to.sink.add(place.bytes(), offset);
      return null;
    }
    const ranges = timed("scan piece", () => stream.channels(values, block), bytes, name);
    const problem = problemOf(name, ranges);
    if (problem) return problem;
    const computed = stream.parameters(ranges.mins, ranges.maxs, quantizer);
    setParameters(parameters, computed, block.channel);
    encodeBlock(stream, name, values, encoding, block, computed, to);
    return null;
  });
}

/** Encodes a block into its room in the sink, or, where there is none, gives the result to the sink. */
function encodeBlock(
  stream: KernelStream,
  name: string,
  values: Block,
  encoding: ElementEncoding,
  block: Piece,
  computed: Parameters | null,
  { sink, offset, size }: Destination,
): void {
  const at = offset + block.first * size;
  const room = sink.room(block.count * size, at);
  const encode = () => encodePiece(stream, values, encoding, block, computed);
  const give = () => {
    if (room) stream.into(room, encode);
    else sink.add(bytesOf(encode()), at);
  };
  timed("encode", give, block.count * 4, name);
}

/** A block whose parameters are there already. */
function encodeOnly(
  stream: KernelStream,
  name: string,
  constant: Constant & { kind: "encoded" },
  block: Piece,
  known: Parameters | null,
  to: Destination,
): null {
  const { encoding } = constant;
  if (encoding.rule === "bias" || encoding.rule === "blocks")
    throw new Error(`${encoding.rule}: not encoded element by element`);
  return stream.scoped(() => {
    const bytes = block.count * 4;
    const values = timed("read", () => loadFloats(stream, constant.of, block), bytes, name);
    encodeBlock(stream, name, values, encoding, block, known && partOf(known, block), to);
    return null;
  });
}

export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
