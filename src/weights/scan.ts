/** Reading constants where a decision depends on their values: ranges, first elements, whole small ones. */
import { Problems } from "../errors.ts";
import { rangeOf } from "../model/bytes.ts";
import { type ChannelLayout, type Constant, stored, wholeTensor } from "./constant.ts";
import { bytesOf, PIECE_LIMIT, problemOf } from "./encode.ts";
import { loadFloats } from "./floats.ts";
import { type ChannelRanges, type KernelStream, type Kernels, laterStart, loadKernels } from "./kernels.ts";
import { piecesOf } from "./pieces.ts";

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
    const ranges: ChannelRanges = { ...laterStart(channels), nans: 0 };
    if (constant.count === 0) return { min: new Float32Array(channels), max: new Float32Array(channels) };
    for (const piece of piecesOf(layout, PIECE_LIMIT)) {
      this.stream.scoped(() => {
        const start = {
          mins: ranges.mins.subarray(piece.channel, piece.channel + piece.channels),
          maxs: ranges.maxs.subarray(piece.channel, piece.channel + piece.channels),
        };
        const next = this.stream.channels(loadFloats(this.stream, constant, piece), piece, start);
        ranges.mins.set(next.mins, piece.channel);
        ranges.maxs.set(next.maxs, piece.channel);
        ranges.nans += next.nans;
      });
    }
    const problem = problemOf(name, ranges);
    if (problem) {
      this.problems.add(problem);
      return { min: new Float32Array(channels), max: new Float32Array(channels) };
    }
    return { min: ranges.mins, max: ranges.maxs };
  }

  /** All elements. For small constants. */
  values(name: string, constant: Constant): Float32Array {
    const layout = wholeTensor(constant.count);
    if (constant.count === 0) return new Float32Array(0);
    this.channelRanges(name, constant, layout);
    return this.stream.scoped(() => {
      const block = loadFloats(this.stream, constant, piecesOf(layout, constant.count)[0]!);
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

  /** A constant that holds these values. */
  stored(values: Uint8Array | Int16Array): Constant {
    return stored(rangeOf(bytesOf(values).slice()), values.length);
  }

  /** Throws one error for all constants with unusable values. */
  throwProblems(): void {
    this.problems.throwIfAny("constants that cannot be quantized");
  }
}
