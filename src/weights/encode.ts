/** Encoding one piece of a constant: the only place where a description meets the kernels. Runs in every thread. */
import { asymmetric, INT16_LIMIT, inverse, symmetric as symmetricParameters } from "../arithmetic.ts";
import { timed } from "../timings.ts";
import type { ChannelLayout, ChannelParameters, Constant, Encoding } from "./constant.ts";
import { inverses, loadFloats } from "./floats.ts";
import { type Block, type ChannelRanges, type KernelStream, laterStart } from "./kernels.ts";
import { type Piece, piecesOf } from "./pieces.ts";

/** Largest number of elements handled at once: 2 MiB of float32, measured best (caches against system calls). */
export const PIECE_LIMIT = 1 << 19;
/** Tensors up to this many elements are read once even when their channels are interleaved: 64 MiB of float32. */
export const WHOLE_LIMIT = 1 << 24;

const FLT_MAX = 3.4028234663852886e38;

/** What is wrong with scanned values, or null. The reference accepts NaN and infinities (§3.1); they make no sense as weights. */
export function problemOf(name: string, { mins, maxs, nans }: ChannelRanges): string | null {
  const bad = nans > 0 ? `${nans} NaN` : null;
  const infinite = mins.some((v) => v <= -FLT_MAX) || maxs.some((v) => v >= FLT_MAX);
  if (!bad && !infinite) return null;
  const what = [bad, infinite ? "infinite values" : null].filter(Boolean).join(" and ");
  return `constant "${name}": has ${what}; it cannot be quantized. Mend the model or its training`;
}

/** Ranges of each channel (§3.1), read in pieces. */
export function scanRanges(stream: KernelStream, constant: Constant, layout: ChannelLayout): ChannelRanges {
  const ranges: ChannelRanges = { ...laterStart(layout.channels), nans: 0 };
  for (const piece of piecesOf(layout, PIECE_LIMIT)) {
    stream.scoped(() => {
      const part = (list: Float32Array) => list.subarray(piece.channel, piece.channel + piece.channels);
      const start = { mins: part(ranges.mins), maxs: part(ranges.maxs) };
      const next = stream.channels(loadFloats(stream, constant, piece), piece, start);
      ranges.mins.set(next.mins, piece.channel);
      ranges.maxs.set(next.maxs, piece.channel);
      ranges.nans += next.nans;
    });
  }
  return ranges;
}

/** Turns ranges into parameters of an encoding, for the channels from `channel` on. */
export function setParameters(
  into: ChannelParameters,
  ranges: Pick<ChannelRanges, "mins" | "maxs">,
  channel: number,
  symmetric: boolean,
  limit: number,
): void {
  for (let i = 0; i < ranges.mins.length; i++) {
    const one = symmetric
      ? symmetricParameters(ranges.mins[i]!, ranges.maxs[i]!, limit)
      : asymmetric(ranges.mins[i]!, ranges.maxs[i]!);
    into.scale[channel + i] = one.scale;
    into.zeroPoint[channel + i] = BigInt(one.zeroPoint);
    into.nudgedMin[channel + i] = one.nudgedMin;
    into.nudgedMax[channel + i] = one.nudgedMax;
  }
}

/** The encoded elements of a piece whose float32 elements are in `values`: a view of the kernels' memory. */
export function encodePiece(
  stream: KernelStream,
  values: Block,
  encoding: Exclude<Encoding, { rule: "bias" }>,
  piece: Piece,
): Uint8Array | Int16Array | Int8Array {
  const part = (list: Float32Array) => list.subarray(piece.channel, piece.channel + piece.channels);
  switch (encoding.rule) {
    case "scan":
    case "clip": {
      const { scale, nudgedMin, nudgedMax } = encoding.parameters;
      const inv = inverses(part(scale));
      if (!encoding.symmetric) return stream.asym(values, piece, part(nudgedMin), part(nudgedMax), inv);
      const lists = [part(nudgedMin), part(nudgedMax), inv] as const;
      if (encoding.limit === INT16_LIMIT) return stream.sym(values, piece, ...lists, encoding.limit);
      return stream.symbyte(values, piece, ...lists, encoding.limit);
    }
    case "known": {
      const inv = inverses(part(encoding.scale));
      return encoding.symmetric
        ? stream.sym0(values, piece, inv)
        : stream.asym0(values, piece, part(encoding.min), inv);
    }
    case "propagated": {
      const inv = inverse(encoding.scale);
      return encoding.symmetric
        ? stream.propagateshort(values, inv, encoding.zeroPoint)
        : stream.propagatebyte(values, inv, encoding.zeroPoint);
    }
  }
}

/**
 * Reads a piece, scans it if the encoding wants that, encodes it and hands the bytes to `write` (a view; use it at once).
 * Returns what is wrong with the values, or null.
 */
export function streamPiece(
  stream: KernelStream,
  name: string,
  constant: Constant & { kind: "encoded" },
  piece: Piece,
  scan: boolean,
  write: (bytes: Uint8Array) => void,
): string | null {
  const { encoding } = constant;
  if (encoding.rule === "bias") throw new Error("biases are not encoded in pieces");
  return stream.scoped(() => {
    const bytes = piece.count * 4;
    const values = timed("read", () => loadFloats(stream, constant.of, piece), bytes, name);
    if (scan && encoding.rule === "scan") {
      const ranges = timed("scan piece", () => stream.channels(values, piece), bytes, name);
      const problem = problemOf(name, ranges);
      if (problem) return problem;
      setParameters(encoding.parameters, ranges, piece.channel, encoding.symmetric, encoding.limit);
    }
    const encoded = timed("encode", () => bytesOf(encodePiece(stream, values, encoding, piece)), bytes, name);
    timed("write piece", () => write(encoded), encoded.length, name);
    return null;
  });
}

export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
