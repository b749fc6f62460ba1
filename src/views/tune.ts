/** A search for people: the front and what it is held against as a table, then the result. */
import { counted, sizeText } from "../base/text.ts";
import { type Noises, sqnrOf } from "../search/bench.ts";
import type { Tuned } from "../search/tune.ts";
import type { Colours } from "../terminal/streams.ts";
import { type Column, shortened, tableLines, type Width, wrapped } from "../terminal/table.ts";
import { dbText } from "./diagnose.ts";

export interface TuneView {
  readonly levels: readonly string[];
  readonly cost: string;
  readonly colours: Colours;
  readonly width: Width;
}

/** Outputs that have columns of their own; of more only the worst is shown. */
const MOST = 4;

export function tuneLines(tuned: Tuned, { levels, cost, colours, width }: TuneView): string[] {
  const { outputs, points, samples, units, missed, limits, cutShort, checkDecides } = tuned;
  const all = outputs.length <= MOST;
  const scored = points.some(({ score }) => score !== undefined);
  const heads = all ? outputs.map((_, i) => `out ${i}`) : ["worst"];
  const columns: Column[] = [
    { heading: "what" },
    { heading: "share", align: "right" },
    { heading: "size", align: "right" },
    ...heads.map((heading): Column => ({ heading, align: "right" })),
    { heading: "predicted", align: "right" },
    { heading: checkDecides ? "check" : "unseen", align: "right" },
    ...(scored ? [{ heading: "score", align: "right" } as const] : []),
  ];
  const dBs = (noises: Noises) => (all ? noises.map(dbText) : [dbText(Math.max(...noises))]);
  const rows = points
    .toSorted((a, b) => Number(a.what === "result") - Number(b.what === "result") || a.cost - b.cost)
    .map((point) => [
      point.what,
      `${(100 * point.share).toFixed(1)} %`,
      sizeText(point.bytes),
      ...dBs(point.noises),
      dBs(point.predicted).join(" "),
      dBs(point.checked).join(" "),
      ...(scored ? [point.score === undefined ? "–" : String(Number(point.score.toPrecision(5)))] : []),
    ]);
  const lines = [
    ...wrapped(
      `${levels.join(", ")} for ${counted(units, "unit")} of layers; share: of ${cost} with more bits; SQNR in dB on ${counted(samples[0], "sample")} that did not set the ranges; ${checkDecides ? `check: on ${counted(samples[1], "other sample")}, which have to do, too` : `unseen: on ${counted(samples[1], "other sample")}, by which nothing was chosen`}`,
      width,
      "  ",
    ),
    ...tableLines(columns, rows, width, colours.bold),
    ...(all ? outputs.map((name, i) => `  out ${i}: ${shortened(name, width && width - 9)}`) : []),
  ];
  for (const { output, text } of limits)
    lines.push(...wrapped(`${colours.yellow("warning")}: output "${shortened(output, 40)}" ${text}`, width, "  "));
  if (cutShort) lines.push(`${colours.yellow("warning")}: --time-limit: not all was tried`);
  if (missed && missed.length > 0)
    lines.push(...wrapped(`${colours.yellow("warning")}: ${missedText(tuned, missed)}`, width, "  "));
  return lines;
}

function missedText({ points, result }: Tuned, missed: readonly number[]): string {
  const high = points.find(({ what }) => what === "all high");
  const which = missed.map((output) => {
    const most = high ? `, and ${dbText(high.checked[output]!)} dB with more bits for all layers` : "";
    return `out ${output}: ${dbText(result.checked[output]!)} dB${most}`;
  });
  return `on the samples that check, the target is missed (${which.join("; ")}); give more samples, other --levels or a lower target`;
}

/** The same for programs. */
export function tuneFacts(tuned: Tuned): object {
  const { outputs, points, samples, units, missed, limits, cutShort, checkDecides } = tuned;
  const dBs = (noises: Noises) => noises.map((noise) => (noise > 0 && Number.isFinite(noise) ? sqnrOf(noise) : null));
  return {
    outputs,
    units,
    samples: { search: samples[0], check: samples[1] },
    points: points.map(({ what, share, cost, bytes, noises, predicted, checked, score, layers }) => ({
      what,
      share,
      cost,
      bytes,
      sqnr: dBs(noises),
      predicted: dBs(predicted),
      unseen: dBs(checked),
      layers: Object.fromEntries(layers),
      ...(score !== undefined && { score }),
    })),
    unreachable: limits,
    checkDecides,
    holdsOnUnseen: missed && missed.length === 0,
    cutShort,
  };
}
