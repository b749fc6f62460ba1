/** Reading constants where a decision depends on their values: ranges, first elements, whole small ones. */
import { Problems } from "../base/errors.ts";
import { timed } from "../base/timings.ts";
import { rangeOf } from "../model/bytes.ts";
import type { Quantizer } from "../rules/schemes.ts";
import { type ChannelLayout, type Constant, stored, wholeTensor } from "./constant.ts";
import { bytesOf, PIECE_LIMIT, problemOf, problemOfNonFinite, scanRanges } from "./encode.ts";
import { loadBytes, loadFloats } from "./floats.ts";
import { type KernelStream, type Kernels, loadKernels, type Parameters } from "./kernels.ts";
import { type Piece, piecesOf } from "./pieces.ts";

/** Scans constants in pieces. Problems of their values (NaN, infinities) are collected, so that all are told at once. */
export class ConstantScanner {
  private readonly problems = new Problems();
  private kernels: Kernels | undefined;

  private get stream(): KernelStream {
    this.kernels ??= loadKernels();
    return this.kernels.stream;
  }

  /** Smallest and largest element (§3.1). An empty constant has the range 0 to 0. */
  range(name: string, constant: Constant): { min: number; max: number } {
    const { min, max } = this.channelRanges(name, constant, wholeTensor(constant.count));
    return { min: min[0]!, max: max[0]! };
  }

  /** Ranges of each channel (§3.1). */
  channelRanges(name: string, constant: Constant, layout: ChannelLayout): { min: Float32Array; max: Float32Array } {
    const { channels } = layout;
    if (constant.count === 0) return { min: new Float32Array(channels), max: new Float32Array(channels) };
    const ranges = timed("scan", () => scanRanges(this.stream, constant, layout), constant.count * 4, name);
    const problem = problemOf(name, ranges);
    if (problem) {
      this.problems.add(problem);
      return { min: new Float32Array(channels), max: new Float32Array(channels) };
    }
    return { min: ranges.mins, max: ranges.maxs };
  }

  /** Smallest and largest element and the number of NaN, whatever they are. An empty constant has the range 0 to 0. */
  extremes(constant: Constant): { min: number; max: number; nans: number } {
    if (constant.count === 0) return { min: 0, max: 0, nans: 0 };
    const { mins, maxs, nans } = scanRanges(this.stream, constant, wholeTensor(constant.count));
    return { min: mins[0]!, max: maxs[0]!, nans };
  }

  /** Parameters of channels' ranges. */
  parameters(mins: Float32Array, maxs: Float32Array, quantizer: Quantizer): Parameters {
    return this.stream.scoped(() => this.stream.parameters(mins, maxs, quantizer));
  }

  /** Notes NaN and infinities, where only a neighbour's range counts; ±FLT_MAX may stand for infinity there (§3.9). */
  refuseNonFinite(name: string, constant: Constant): void {
    if (constant.count === 0) return;
    const problem = problemOfNonFinite(name, scanRanges(this.stream, constant, wholeTensor(constant.count)));
    if (problem) this.problems.add(problem);
  }

  /** All elements. For small constants. */
  values(name: string, constant: Constant): Float32Array {
    const layout = wholeTensor(constant.count);
    if (constant.count === 0) return new Float32Array(0);
    this.channelRanges(name, constant, layout);
    return this.unchecked(constant);
  }

  /** All elements, whatever they are. For small constants. */
  unchecked(constant: Constant): Float32Array {
    if (constant.count === 0) return new Float32Array(0);
    return this.stream.scoped(() => {
      const block = loadFloats(this.stream, constant, piecesOf(wholeTensor(constant.count), constant.count)[0]!);
      return new Float32Array(block.bytes().slice().buffer);
    });
  }

  /** The elements of a piece (piecesOf), whatever they are. */
  piece(constant: Constant, piece: Piece): Float32Array {
    return this.stream.scoped(() => {
      const block = loadFloats(this.stream, constant, piece);
      return new Float32Array(block.bytes().slice().buffer);
    });
  }

  /** The first element, or undefined when there is none. */
  first(constant: Constant): number | undefined {
    if (constant.count === 0) return undefined;
    const piece = { first: 0, count: 1, channel: 0, channels: 1, inner: 1 };
    return this.stream.scoped(() => {
      const block = loadFloats(this.stream, constant, piece);
      return new Float32Array(block.bytes().slice().buffer)[0];
    });
  }

  /** All bytes of a small constant that holds no float32. */
  bytes(constant: Constant): Uint8Array {
    return this.stream.scoped(() => loadBytes(this.stream, constant, 0, constant.length).bytes().slice());
  }

  /** Whether no byte is above `limit`. Ordinary 8-bit weights are told apart by their first piece. */
  everyByteAtMost(constant: Constant, limit: number): boolean {
    for (const { first, count } of piecesOf(wholeTensor(constant.length), PIECE_LIMIT)) {
      const within = this.stream.scoped(() =>
        loadBytes(this.stream, constant, first, count)
          .bytes()
          .every((byte) => byte <= limit),
      );
      if (!within) return false;
    }
    return true;
  }

  /** A constant that holds these values. */
  stored(values: Uint8Array | Int16Array): Constant {
    return stored(rangeOf(bytesOf(values).slice()), values.length);
  }

  /** Throws one error for all constants with unusable values. */
  throwProblems(): void {
    this.problems.throwIfAny("constants that cannot be quantized");
  }
}
