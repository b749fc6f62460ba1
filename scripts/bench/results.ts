/**
 * What was measured, as it is printed and kept; held against its target and against what was kept before.
 *
 * A figure (figures.ts) gives one result, or one per part: the kernels' figure has a result for every kernel.
 */
import { type Ratios, ratios, rounded, type Sides, spread } from "./statistics.ts";

/** Worse by more than this share of the kept value is a regression. */
export const REGRESSION = 0.15;

/** ms = milliseconds, MB = 10⁶ bytes. */
export type Unit = "ratio" | "ms" | "MB";

/** What of a figure is said before it is measured. */
export interface Terms {
  readonly id: string;
  readonly what: string;
  readonly unit: Unit;
  /** Which direction is an improvement. */
  readonly better: "less" | "more";
  /** Absent: it is measured for information. */
  readonly target?: number;
  /** Which of the samples is held against the target; the median unless it is a peak. */
  readonly judged?: "max";
}

/** Samples of a figure, or of one part of it. Of a ratio both sides' times, and no samples: they follow. */
export interface Measured {
  readonly part?: string;
  readonly samples?: readonly number[];
  readonly sides?: Sides;
  /** Bytes that went through in each sample, where a speed in GB/s says something. */
  readonly bytes?: number;
}

export interface Result {
  readonly figure: string;
  readonly part?: string;
  readonly what: string;
  readonly unit: Unit;
  readonly better: "less" | "more";
  readonly target?: number;
  /** What is judged and compared. */
  readonly value: number;
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly samples: readonly number[];
  /** Of ratios: both sides, and the ratio by their medians and minima instead of pair by pair. */
  readonly sides?: Sides;
  readonly ofMedians?: number;
  readonly ofMinima?: number;
  readonly bytes?: number;
  readonly date: string;
  readonly commit: string;
}

export function resultOf(terms: Terms, measured: Measured, date: string, commit: string): Result {
  const { id, what, unit, better, target, judged = "median" } = terms;
  const { part, sides, bytes } = measured;
  const both: Ratios | undefined = sides && ratios(sides);
  const samples = both?.ofPairs ?? measured.samples ?? [];
  const of = spread(samples);
  return {
    figure: id,
    ...(part !== undefined && { part }),
    ...{ what, unit, better },
    ...(target !== undefined && { target }),
    value: rounded(of[judged]),
    ...{ min: rounded(of.min), median: rounded(of.median), max: rounded(of.max) },
    samples: samples.map(rounded),
    ...(both && { ofMedians: rounded(both.ofMedians), ofMinima: rounded(both.ofMinima) }),
    ...(sides && { sides: { ...sides, top: sides.top.map(rounded), bottom: sides.bottom.map(rounded) } }),
    ...(bytes !== undefined && { bytes }),
    ...{ date, commit },
  };
}

/**
 * Whether the value is on the right side of its target; null when it has none. The ratio of minima has to be there as well: a machine
 * that disturbs one side more than the other cannot make a figure better than both sides are at their best.
 */
export function meetsTarget({
  value,
  ofMinima = value,
  better,
  target,
}: Pick<Result, "value" | "ofMinima" | "better" | "target">): boolean | null {
  if (target === undefined) return null;
  return [value, ofMinima].every((ratio) => (better === "less" ? ratio <= target : ratio >= target));
}

export interface Change {
  /** Share of the kept value: 0.04 is 4 % larger than it was. */
  readonly share: number;
  readonly regression: boolean;
}

export function changeFrom(kept: Pick<Result, "value">, now: Pick<Result, "value" | "better">): Change {
  const share = now.value / kept.value - 1;
  return { share, regression: (now.better === "less" ? share : -share) > REGRESSION };
}

/** The machine a result was measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  /** GB. */
  readonly memory: number;
  readonly system: string;
  readonly fileSystem: string;
  readonly bun: string;
}

/** docs/performance.json. */
export interface Kept {
  readonly machine: Machine;
  /** Load averages of the last minute before and after the measurements: much more than 0 before them means disturbed. */
  readonly load: readonly [number, number];
  readonly results: readonly Result[];
}

export function sameMachine(a: Machine, b: Machine): boolean {
  return a.cpu === b.cpu && a.cores === b.cores && a.memory === b.memory;
}

/** The kept result that `result` is compared with. Times of another machine say nothing; ratios and memory do. */
export function counterpart(result: Result, kept: Kept | null, machine: Machine): Result | undefined {
  if (!kept || (result.unit === "ms" && !sameMachine(kept.machine, machine))) return undefined;
  return kept.results.find(({ figure, part }) => figure === result.figure && part === result.part);
}

/** What is kept after a run: its results, and those of figures that it did not measure, if it was the same machine. */
export function merged(kept: Kept | null, now: Kept, order: readonly string[]): Kept {
  const measured = new Set(now.results.map(({ figure }) => figure));
  const others = kept && sameMachine(kept.machine, now.machine) ? kept.results : [];
  const results = [...now.results, ...others.filter(({ figure }) => !measured.has(figure) && order.includes(figure))];
  return { ...now, results: results.toSorted((a, b) => order.indexOf(a.figure) - order.indexOf(b.figure)) };
}

/** The kept file's text: one line per result, so that a change of figures is a change of lines. */
export function keptText({ machine, load, results }: Kept): string {
  const lines = results.map((result) => `    ${JSON.stringify(result)}`).join(",\n");
  return `{\n  "machine": ${JSON.stringify(machine)},\n  "load": ${JSON.stringify(load)},\n  "results": [\n${lines}\n  ]\n}\n`;
}
