/** The comparison for people. Outputs have two lines each, so that long names and eight metrics fit into 80 columns; layers one. */
import { counted } from "../base/text.ts";
import type { ComparedLayer, ComparedTensor, Comparison } from "../compare/compare.ts";
import { METRICS, type MetricName } from "../compare/limits.ts";
import type { Metrics } from "../compare/metrics.ts";
import type { Dialect } from "../model/index.ts";
import type { Dtype } from "../model/tensor-types.ts";
import { RULES_OF, rowOf } from "../rules/operators.ts";
import { finerScheme } from "../rules/schemes.ts";
import type { Colours } from "../terminal/streams.ts";
import { type Column, cells, shortened, tableLines, type Width, wrapped } from "../terminal/table.ts";

export interface CompareView {
  /** Layers are printed, too. */
  readonly layers: boolean;
  /** Every layer, and not the worst. */
  readonly all: boolean;
  /** Format of the second model: which schemes it may have. */
  readonly dialect: Dialect;
  readonly colours: Colours;
  readonly width: Width;
}

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
/** Layers that are printed without --all. */
export const WORST = 10;

/** Below the first a value is poor, below the second bad. */
const POOR: Partial<Record<MetricName, readonly [poor: number, bad: number]>> = {
  sqnr: [20, 10],
  cosine: [0.99, 0.95],
  top1: [0.9, 0.7],
};
/** dB that a layer loses: two bits, four bits. */
const POOR_DROP = [12, 24] as const;

export function compareLines(comparison: Comparison, view: CompareView): string[] {
  const { outputs, layers, notCompared } = comparison;
  const { colours, width } = view;
  const lines = [colours.bold(`  ${NAMES.map((name) => METRICS[name].heading.padStart(WIDTHS[name])).join("")}`)];
  for (const { name, other, ...rest } of outputs) {
    const names = other === name ? name : `${name} ↔ ${other}`;
    lines.push(`${colours.cyan("output")} ${shortened(names, width && width - "output ".length)}`);
    lines.push(...numbers(rest, colours));
  }
  if (view.layers) lines.push("", ...layerLines(layers, view));
  const reasons = Map.groupBy(notCompared, ({ reason }) => reason);
  for (const [reason, tensors] of reasons) {
    lines.push(
      ...wrapped(`${colours.yellow("not compared")}: ${counted(tensors.length, "tensor")} ${reason}:`, width, "  "),
    );
    // Asked for the worst, a person does not look for what was fused away.
    const most = view.layers && !view.all ? 3 : MOST;
    for (const { name } of tensors.slice(0, most)) lines.push(`  ${shortened(name, width && width - 2)}`);
    if (tensors.length > most) lines.push(`  … and ${tensors.length - most} more (--json lists all)`);
  }
  return lines;
}

function numbers({ metrics }: Pick<ComparedTensor, "metrics">, colours: Colours): string[] {
  const row = NAMES.map((name) => valueText(name, metrics, colours, WIDTHS[name])).join("");
  const { notFinite } = metrics;
  const warning = `  ${colours.yellow("warning")}: ${counted(notFinite, "element")} NaN or infinite in one of the models`;
  return notFinite > 0 ? [`  ${row}`, warning] : [`  ${row}`];
}

function valueText(name: MetricName, metrics: Metrics, colours: Colours, width = 0): string {
  const text = metricText(name, metrics).padStart(width);
  const limits = POOR[name];
  const value = metrics[name];
  return limits && value !== null && Number.isFinite(value)
    ? coloured(text, -value, -limits[0], -limits[1], colours)
    : text;
}

/** Larger is worse. */
function coloured(text: string, value: number, poor: number, bad: number, colours: Colours): string {
  return value > bad ? colours.red(text) : value > poor ? colours.yellow(text) : text;
}

const COLUMNS: readonly Column[] = [
  { heading: "SQNR dB", align: "right" },
  { heading: "drop dB", align: "right" },
  { heading: "dtype" },
  { heading: "operator" },
  { heading: "layer", shrinks: true },
];

function layerLines(layers: readonly ComparedLayer[], { all, dialect, colours, width }: CompareView): string[] {
  if (layers.length === 0) return ["no layers have the same name in both models"];
  const sorted = layers.toSorted((a, b) => a.rank - b.rank);
  const shown = all ? sorted : sorted.slice(0, WORST);
  const rows = shown.map(({ name, dtype, operator, drop, metrics }) => [
    valueText("sqnr", metrics, colours),
    drop === null ? "–" : coloured(dropText(drop), drop, ...POOR_DROP, colours),
    dtype?.toLowerCase() ?? "float",
    operator ?? "(input)",
    name,
  ]);
  const lines = tableLines(COLUMNS, rows, width, colours.bold);
  const broken = layers.filter(({ metrics }) => metrics.notFinite > 0);
  if (broken.length > 0)
    lines.push(`${colours.yellow("warning")}: ${counted(broken.length, "layer")} with NaN or infinite elements`);
  if (shown.length < layers.length)
    lines.push(`… and ${layers.length - shown.length} more that lose less (--all lists them, --json has every metric)`);
  return [...lines, ...verdict(sorted, dialect, width)];
}

/** What to do about the worst layer that can have a scheme of its own. */
function verdict(sorted: readonly ComparedLayer[], dialect: Dialect, width: Width): string[] {
  const losing = sorted.filter(({ drop }) => drop !== null && drop >= 0.05);
  const [worst] = losing;
  if (!worst) return ["no layer loses anything against its operands"];
  const text = ({ name, operator, drop }: ComparedLayer) =>
    `${width === undefined ? name : shortened(name, Math.max(30, width - 40))} (${operator ?? "an input"}), ${dropText(drop!)} dB`;
  const best = losing.map((layer) => ({ layer, finer: finerFor(layer, dialect) })).find(({ finer }) => finer);
  const why = worst.source !== null && worst.dtype === null ? "; it is float, and loses by its weights" : "";
  if (!best) return wrapped(`largest loss: ${text(worst)}${why}`, width, "  ");
  const other = best.layer === worst ? "" : `; the largest of a layer that can be set: ${text(best.layer)}`;
  // Whole, and on a line of its own: it is there to be copied.
  const remedy = `--layer '${best.layer.name}=${best.finer}'`;
  const said = `largest loss: ${text(worst)}${other}; try`;
  if (width === undefined || cells(`${said} ${remedy}`) <= width) return [`${said} ${remedy}`];
  return [...wrapped(said, width, "  "), `  ${remedy}`];
}

/** A scheme with more bits for a layer; undefined for inputs, and for layers that are float already: of these the weights are rounded. */
function finerFor({ source, dtype }: ComparedLayer, dialect: Dialect): string | undefined {
  if (source === null || dtype === null) return undefined;
  const finer = finerScheme(dtype as Dtype, dialect);
  return finer && rowOf(source, RULES_OF[finer.family]).mixed !== undefined ? finer.name : "float32";
}

/** dB with two digits; what rounds to nothing has no sign. */
function dropText(drop: number): string {
  return drop.toFixed(2).replace(/^-(0\.00)$/, "$1");
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
