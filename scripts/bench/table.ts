/** Results as lines for a terminal. */
import type { Colours } from "../../src/terminal/streams.ts";
import { type Change, changeFrom, counterpart, type Kept, type Machine, meetsTarget, type Result } from "./results.ts";
import { median } from "./statistics.ts";

const WIDTHS = [39, 9, 9, 9, 10, 8, 14];
const TITLES = ["figure", "result", "min", "max", "target", "", "kept"];

/** A row before it is coloured and laid out. */
export interface Row {
  readonly cells: readonly string[];
  readonly missed: boolean;
  readonly regression: boolean;
  /** Below the row: what the ratio is made of. */
  readonly detail?: string;
}

/** 0.523, 48.1 ms, 151 MB. */
export function valueText(value: number, unit: Result["unit"]): string {
  if (unit === "ratio") return value.toFixed(value < 10 ? 2 : 1);
  return `${value < 100 ? value.toFixed(1) : value.toFixed(0)} ${unit}`;
}

export function targetText({ target, better, unit }: Pick<Result, "target" | "better" | "unit">): string {
  if (target === undefined) return "";
  return `${better === "less" ? "≤" : "≥"} ${valueText(target, unit).replace(".0 ", " ")}`;
}

function changeText(kept: Result, { share }: Change): string {
  const percent = Math.round(share * 100);
  return `${valueText(kept.value, kept.unit)} ${percent > 0 ? "+" : ""}${percent} %`;
}

export function rowOf(result: Result, kept: Kept | null, machine: Machine, title = result.what): Row {
  const { value, min, max, unit } = result;
  const before = counterpart(result, kept, machine);
  const change = before && changeFrom(before, result);
  const met = meetsTarget(result);
  const cells = [
    result.part === undefined || title !== result.what ? title : `${title}, ${result.part}`,
    valueText(value, unit),
    valueText(min, unit),
    valueText(max, unit),
    targetText(result),
    met === null ? "" : met ? "met" : "missed",
    before && change ? changeText(before, change) : "",
  ];
  return { cells, missed: met === false, regression: change?.regression ?? false, detail: detailOf(result) };
}

/** "0.352 s ÷ 0.655 s by medians: 0.54; by minima: 0.56". */
function detailOf({ sides, ofMedians, ofMinima, bytes }: Result): string | undefined {
  if (!sides || ofMedians === undefined || ofMinima === undefined) return undefined;
  const time = (value: number) => `${value.toPrecision(3)} ${sides.unit}`;
  const [top, bottom] = [sides.top, sides.bottom];
  const pair = (of: (list: readonly number[]) => number) => `${time(of(top))} ÷ ${time(of(bottom))}`;
  const speed = bytes === undefined ? "" : `; ${speedText(bytes, Math.min(...bottom), sides.unit)}`;
  const lowest = (list: readonly number[]) => Math.min(...list);
  return `${sides.names.join(" ÷ ")}: medians ${pair(median)} = ${ofMedians.toFixed(2)}, minima ${pair(lowest)} = ${ofMinima.toFixed(2)}${speed}`;
}

export function speedText(bytes: number, time: number, unit: "s" | "ms"): string {
  return `${(bytes / time / (unit === "s" ? 1e9 : 1e6)).toFixed(1)} GB/s`;
}

/**
 * Rows of one figure. A brief one has a row of its worst part, which also says how many miss the target, and then only those
 * parts that got worse.
 */
export function rowsOf(results: readonly Result[], brief: boolean, kept: Kept | null, machine: Machine): Row[] {
  if (!brief || results.length < 2) return results.map((result) => rowOf(result, kept, machine));
  const direction = results[0]!.better === "less" ? -1 : 1;
  const worst = results.toSorted((a, b) => direction * (a.value - b.value))[0]!;
  const missed = results.filter((result) => meetsTarget(result) === false).length;
  const rest = results.filter((result) => result !== worst).map((result) => rowOf(result, kept, machine));
  const first = rowOf(worst, kept, machine, `${worst.what}: the worst of ${results.length}`);
  const detail = `${missed} of ${results.length} miss the target; the worst is ${worst.part} (all of them: --parts)`;
  return [{ ...first, detail }, ...rest.filter(({ regression }) => regression).map((row) => ({ ...row, detail: "" }))];
}

function laidOut(cells: readonly string[]): string {
  return cells
    .map((cell, i) =>
      i === 0 || i === 5 ? ` ${cell}`.slice(i === 0 ? 1 : 0).padEnd(WIDTHS[i]!) : cell.padStart(WIDTHS[i]!),
    )
    .join("")
    .trimEnd();
}

export function header(colours: Colours): string {
  return colours.bold(laidOut(TITLES));
}

/** A row's lines: red where it got worse, yellow where it misses its target. */
export function lines({ cells, missed, regression, detail }: Row, colours: Colours): string[] {
  const paint = regression ? colours.red : missed ? colours.yellow : (text: string) => text;
  return [paint(laidOut(cells)), ...(detail ? [colours.dim(`  ${detail}`)] : [])];
}
