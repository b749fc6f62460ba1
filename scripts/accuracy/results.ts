/** What docs/accuracy.json holds. */
import type { Machine } from "../bench/results.ts";

/** A model quantized by a scheme and a level. */
export interface Row {
  readonly model: string;
  readonly scheme: string;
  readonly level: string;
  /** Of each output, in dB, on the pictures that set no ranges. */
  readonly sqnr: readonly number[];
  /** Of the whole command: the least of the repeats. */
  readonly seconds: number;
  /** What a level did, by codes of its notes. */
  readonly notes: readonly string[];
}

/** `tune --at-most`. */
export interface TuneRow {
  readonly model: string;
  readonly percent: number;
  readonly share: number;
  /** On the pictures with odd numbers. */
  readonly sqnr: readonly number[];
  /** As `tune` measures its points itself, on pictures of the even half by which nothing was chosen. */
  readonly own: readonly number[];
  /** The same of a cut of the model at that share, its front or its back in int16: what ONE's bisection over depth looks for. */
  readonly front: readonly number[];
  readonly back: readonly number[];
  readonly seconds: number;
}

export interface Figures {
  readonly machine: Machine;
  readonly load: readonly [before: number, after: number];
  readonly date: string;
  readonly rows: readonly Row[];
  readonly tuned: readonly TuneRow[];
}
