/** The comparison for people: two lines a tensor, so that long names and eight metrics fit into 80 columns. */
import { counted } from "../base/text.ts";
import type { Colours } from "../terminal/streams.ts";
import type { ComparedTensor, Comparison } from "./compare.ts";
import { METRICS, type MetricName } from "./limits.ts";
import type { Metrics } from "./metrics.ts";

/** Widths of the columns, in METRICS' order; with two spaces before each line 80 in all. */
const WIDTHS: Readonly<Record<MetricName, number>> = {
  sqnr: 9,
  cosine: 11,
  mae: 11,
  mse: 11,
  mape: 11,
  mpeir: 11,
  top1: 7,
  top5: 7,
};
const NAMES = Object.keys(METRICS) as MetricName[];
/** Names of tensors that are listed without --json. */
const MOST = 20;

export function table(comparison: Comparison, withLayers: boolean, colours: Colours): string[] {
  const { outputs, layers, notCompared } = comparison;
  const heading = colours.bold(`  ${NAMES.map((name) => METRICS[name].heading.padStart(WIDTHS[name])).join("")}`);
  const lines = [heading];
  for (const { name, other, ...rest } of outputs) {
    lines.push(`${colours.cyan("output")} ${name}${other === name ? "" : ` ↔ ${other}`}`);
    lines.push(...numbers(rest, colours));
  }
  if (withLayers) lines.push("", heading);
  for (const { name, dtype, ...rest } of withLayers ? layers : []) {
    lines.push(`${name}${dtype ? colours.dim(` (${dtype.toLowerCase()})`) : ""}`);
    lines.push(...numbers(rest, colours));
  }
  const reasons = Map.groupBy(notCompared, ({ reason }) => reason);
  for (const [reason, tensors] of reasons) {
    lines.push(`${colours.yellow("not compared")}: ${counted(tensors.length, "tensor")} ${reason}:`);
    for (const { name } of tensors.slice(0, MOST)) lines.push(`  ${name}`);
    if (tensors.length > MOST) lines.push(`  … and ${tensors.length - MOST} more (--json lists all)`);
  }
  return lines;
}

function numbers({ metrics }: Pick<ComparedTensor, "metrics">, colours: Colours): string[] {
  const row = NAMES.map((name) => metricText(name, metrics).padStart(WIDTHS[name])).join("");
  const { notFinite } = metrics;
  const warning = `  ${colours.yellow("warning")}: ${counted(notFinite, "element")} NaN or infinite in one of the models`;
  return notFinite > 0 ? [`  ${row}`, warning] : [`  ${row}`];
}

/** A metric in few characters: "34.21", "0.99987", "1.2e-6", "–" where it says nothing, "equal" for an SQNR without any error. */
export function metricText(name: MetricName, metrics: Metrics): string {
  const value = metrics[name];
  if (value === null) return "–";
  if (name === "sqnr" && value === Number.POSITIVE_INFINITY) return "equal";
  if (!Number.isFinite(value)) return String(value).replace("Infinity", "inf");
  if (name === "sqnr") return value.toFixed(2);
  if (name === "cosine") return value.toFixed(6);
  if (name === "top1" || name === "top5") return value.toFixed(3);
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e5)) return value.toExponential(3);
  return String(Number(value.toPrecision(4)));
}
