/**
 * What the weight stream does: fillings (one per constant), cut into tasks that any thread can do in any order.
 *
 *     filling  "conv1" as uint8 at byte 4096 of the file
 *     task channels 0…113 of it: read, scan, encode, give to the output
 *
 * Channels that lie in one piece are scanned and encoded in one read. Where they do not (a large tensor with one scale), all
 * pieces are scanned first; what was found lies in shared memory, piece by piece, and is merged in storage order, because
 * equal zeros of different sign are not the same.
 */

import { streamBlocks, streamHalves } from "./blocks.ts";
import type { ChannelLayout, Constant } from "./constant.ts";
import { wholeTensor } from "./constant.ts";
import { type Destination, PIECE_LIMIT, scanPiece, streamPiece, WHOLE_LIMIT } from "./encode.ts";
import { loadBytes, loadFloats } from "./floats.ts";
import { type ChannelRanges, type KernelStream, laterStart, mergeRanges, type Parameters } from "./kernels.ts";
import type { Sink } from "./output.ts";
import { BitPacker } from "./packer.ts";
import { type Piece, piecesAreIndependent, piecesOf } from "./pieces.ts";

/** Ranges of pieces, one row of `channels` values a piece, in shared memory. */
export interface Found {
  readonly channels: number;
  readonly mins: Float32Array;
  readonly maxs: Float32Array;
  readonly nans: Int32Array;
}

export interface Filling {
  readonly name: string;
  readonly constant: Constant;
  /** Of its first byte in the new file. */
  readonly offset: number;
  /** Of the first scale of its blocks, where it has some. */
  readonly scalesOffset?: number;
  readonly pieces: readonly Piece[];
  /** Set when all pieces have to be scanned before any is encoded. */
  readonly found?: Found;
  /** What that gave, once the parameters are set. */
  readonly known?: Parameters;
}

/** Pieces of one filling by number: `from`, up to but not including `to`. */
export interface Task {
  readonly filling: number;
  readonly from: number;
  readonly to: number;
}

/** The filling of a constant, which is no bias and not empty. */
export function fillingOf(name: string, constant: Constant, offset: number): Filling {
  const layout = layoutOf(constant);
  const scanned = constant.kind === "encoded" && constant.encoding.rule === "scan";
  const whole = scanned && layout.channels > 1 && constant.count <= WHOLE_LIMIT;
  const apart = scanned && !whole && !piecesAreIndependent(layout, PIECE_LIMIT);
  const interleaved = whole && !piecesAreIndependent(layout, PIECE_LIMIT);
  const pieces = piecesOf(layout, interleaved ? WHOLE_LIMIT : PIECE_LIMIT);
  return { name, constant, offset, pieces, ...(apart && { found: nothingFound(pieces.length, layout.channels) }) };
}

/** The channels that the work on a constant has to respect. */
function layoutOf(constant: Constant): ChannelLayout {
  if (constant.kind === "fake" || constant.kind === "dequantized") return constant.layout;
  if (constant.kind !== "encoded") return wholeTensor(constant.count);
  const { encoding } = constant;
  return encoding.rule === "propagated" || encoding.rule === "bias" ? wholeTensor(constant.count) : encoding.layout;
}

function nothingFound(pieces: number, channels: number): Found {
  const floats = () => new Float32Array(new SharedArrayBuffer(pieces * channels * 4));
  return { channels, mins: floats(), maxs: floats(), nans: new Int32Array(new SharedArrayBuffer(pieces * 4)) };
}

/**
 * The tasks of fillings, in file order. A sparse constant is one task, because it is laid out densely as a whole; so is one of
 * values below a byte whose pieces would begin within one.
 */
export function tasksOf(fillings: readonly Filling[]): Task[] {
  return fillings.flatMap(({ constant, pieces }, filling): Task[] => {
    const odd = bytesEach(constant) < 1 && pieces.some(({ first }) => (first * bytesEach(constant)) % 1 !== 0);
    if (odd || isSparse(constant)) return [{ filling, from: 0, to: pieces.length }];
    return pieces.map((_, piece) => ({ filling, from: piece, to: piece + 1 }));
  });
}

function isSparse(constant: Constant): boolean {
  return constant.kind === "dense" || (constant.kind !== "stored" && isSparse(constant.of));
}

/** Bytes that are read of constants. */
export function bytesRead(some: readonly { readonly constant: Constant }[]): number {
  return some.reduce((sum, { constant }) => sum + bytesStored(constant), 0);
}

/** Bytes that tasks read, about: pieces of a filling count alike. */
export function bytesOfTasks(fillings: readonly Filling[], tasks: readonly Task[]): number {
  let sum = 0;
  for (const { filling, from, to } of tasks) {
    const { constant, pieces } = fillings[filling]!;
    sum += (bytesStored(constant) * (to - from)) / pieces.length;
  }
  return Math.round(sum);
}

function bytesStored(constant: Constant): number {
  return constant.kind === "stored" ? constant.length : bytesStored(constant.of);
}

/** Bytes of one element in the file; ½ = two a byte, ¼ = four. */
function bytesEach(constant: Constant): number {
  if (constant.kind === "encoded") return constant.bytes;
  return constant.kind === "nibbles" ? 0.5 : constant.length / constant.count;
}

/** Notes the ranges of a task's pieces in the filling's shared memory. */
export function scanTask(stream: KernelStream, { name, constant, pieces, found }: Filling, { from, to }: Task): void {
  if (constant.kind !== "encoded" || !found) throw new Error(`"${name}" needs no scan of its own`);
  const { channels, mins, maxs, nans } = found;
  for (let index = from; index < to; index++) {
    const piece = pieces[index]!;
    const ranges = scanPiece(stream, name, constant.of, piece);
    const at = index * channels + piece.channel;
    mins.set(ranges.mins, at);
    maxs.set(ranges.maxs, at);
    nans[index] = ranges.nans;
  }
}

/** Ranges of the channels after all pieces were scanned. */
export function rangesFound({ pieces, found }: Filling): ChannelRanges {
  const { channels, mins, maxs, nans } = found!;
  const ranges: ChannelRanges = { ...laterStart(channels), nans: 0 };
  for (const [index, piece] of pieces.entries()) {
    const part = (list: Float32Array, at: number) => list.subarray(at, at + piece.channels);
    const at = index * channels + piece.channel;
    const into = { mins: part(ranges.mins, piece.channel), maxs: part(ranges.maxs, piece.channel), nans: 0 };
    mergeRanges(into, { mins: part(mins, at), maxs: part(maxs, at), nans: 0 });
    ranges.nans += nans[index]!;
  }
  return ranges;
}

/** Computes a task's bytes and gives them away in order. Returns what is wrong with the values, or null. */
export function writeTask(stream: KernelStream, filling: Filling, { from, to }: Task, sink: Sink): string | null {
  const { name, constant, offset } = filling;
  const size = bytesEach(constant);
  const packer = constant.kind === "encoded" && size < 1 ? new BitPacker(stream, sink, offset, size) : null;
  const destination: Destination = packer ? { sink: packer, offset: 0, size: 1 } : { sink, offset, size };
  for (const piece of filling.pieces.slice(from, to)) {
    if (constant.kind === "halved") {
      streamHalves(stream, name, constant, piece, sink, offset);
      continue;
    }
    if (constant.kind !== "encoded") {
      giveFloats(stream, constant, piece, size, (bytes) => sink.add(bytes, offset + piece.first * size));
      continue;
    }
    const problem =
      constant.encoding.rule === "blocks"
        ? streamBlocks(stream, name, constant, piece, destination, { sink, offset: filling.scalesOffset! })
        : streamPiece(stream, name, constant, piece, filling.known ?? null, destination);
    if (problem) return problem;
  }
  packer?.end();
  return null;
}

/** Descriptions of something else than float32. */
const HOLD_BYTES: ReadonlySet<Constant["kind"]> = new Set(["stored", "dense", "shifted", "divided", "nibbles"]);

/** Constants that stay what they describe: float16 seen as float32, sparse ones made dense, fake-quantized ones. */
function giveFloats(
  stream: KernelStream,
  constant: Constant,
  piece: Piece,
  size: number,
  give: (bytes: Uint8Array) => void,
): void {
  stream.scoped(() => {
    const block = HOLD_BYTES.has(constant.kind)
      ? loadBytes(stream, constant, piece.first * size, Math.ceil(piece.count * size))
      : loadFloats(stream, constant, piece);
    give(block.bytes());
  });
}
