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

/** A model of which all before or behind a cut is int16. */
export interface Cut {
  readonly share: number;
  readonly sqnr: readonly number[];
}

/** `tune --at-most`. All SQNRs are of the pictures with odd numbers. */
export interface TuneRow {
  readonly model: string;
  readonly percent: number;
  readonly share: number;
  readonly sqnr: readonly number[];
  /** Cuts of the model at that share, its front or its back in int16: what ONE's bisection over depth looks for. */
  readonly front: Cut;
  readonly back: Cut;
  /** Of the search; one of another share before it leaves it what both measure. */
  readonly seconds: number;
}

export interface Figures {
  readonly machine: Machine;
  readonly load: readonly [before: number, after: number];
  readonly date: string;
  readonly rows: readonly Row[];
  readonly tuned: readonly TuneRow[];
}
