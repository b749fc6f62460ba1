/** The Report as lines for a terminal. */
import { counted, FEW, sizeText } from "../base/text.ts";
import type { Report, SignatureSamples } from "../driver/report.ts";
import { schemesText, type VerifyReport } from "../driver/verify-phases.ts";
import { coloursFor } from "../terminal/streams.ts";

/** What `quantize` says it did. */
export function summary(report: Report): string[] {
  const colours = coloursFor(1);
  const { output, counts } = report;
  const weightsAlone = [
    `${colours.bold(output.path)}: ${report.scheme}, ${sizes(report)}, ${report.seconds.toFixed(1)} s`,
    `  ${report.done}${runText(report)}`,
  ];
  const all = () => [
    `${colours.bold(output.path)}: ${report.scheme}, weights per ${report.granularity === "layer" ? "tensor" : report.granularity}${report.target ? `, for ${report.target}` : ""}, ${sizes(report)}, ${report.seconds.toFixed(1)} s`,
    `  ${layersText(report)}`,
    `  ${counted(counts.activations, "activation")} and ${counted(counts.constants, "constant")} quantized${report.verified ? "; verified" : ""}${runText(report)}`,
    `  ranges: ${rangesText(report)}`,
  ];
  const lines = report.done === undefined ? all() : weightsAlone;
  lines.push(...preparedLines(report));
  const float = report.notes.filter((note) => note.kind === "float");
  if (float.length > 0) {
    lines.push(`  ${colours.yellow("stays float")} (${float.length}):`);
    for (const note of float) lines.push(`    ${note.text}`);
  }
  const kept = report.notes.filter((note) => note.kind === "kept");
  if (kept.length > 0) {
    lines.push(`  quantized already, stays as it is (${kept.length}):`);
    for (const note of kept.slice(0, FEW)) lines.push(`    ${note.text}`);
    if (kept.length > FEW) lines.push(`    and ${kept.length - FEW} more`);
  }
  lines.push(...linesByCode(report, "note", "note", FEW_NOTES));
  lines.push(...linesByCode(report, "warning", colours.yellow("warning"), FEW));
  lines.push(`  memory: ${sizeText(report.peakMemory)} at most`);
  if (report.targetHint) lines.push(`  ${report.targetHint}`);
  return lines;
}

/** "67 layers: 62 int8, 3 int16, 2 float32". */
function layersText({ layers }: Report): string {
  const counts = Object.entries(layers);
  const all = counts.reduce((sum, [, count]) => sum + count, 0);
  return `${counted(all, "layer")}: ${counts.map(([dtype, count]) => `${count} ${dtype}`).join(", ")}`;
}

/** What the runtime said of the result. */
function runText({ run }: Report): string {
  if (!run) return "";
  return run.ran ? `; runs in ${run.runtime}` : `; not run in ${run.runtime}: ${run.reason}`;
}

/** Of what is only good to know two of a code will do. */
const FEW_NOTES = 2;

/** Notes of a kind, at most `few` of a code; `--json` has all. */
function linesByCode({ notes }: Report, kind: Report["notes"][number]["kind"], word: string, few: number): string[] {
  const byCode = Map.groupBy(
    notes.filter((note) => note.kind === kind),
    ({ code }) => code,
  );
  return [...byCode].flatMap(([code, found]) => [
    ...found.slice(0, few).map(({ text }) => `  ${word}: ${text}`),
    ...(found.length > few ? [`  ${word}: and ${found.length - few} more like these (${code})`] : []),
  ]);
}

/** What a transform did: one line, and its notes. */
export function transformLines(report: Report): string[] {
  return [`${report.output.path}: ${report.done}, ${sizes(report)}`, ...preparedLines(report), ...noteLines(report)];
}

/** What was done before: one line, or none. */
export function preparedLines({ prepared }: Report): string[] {
  return prepared.length > 0 ? [`  prepared: ${prepared.map(({ text }) => text).join("; ")}`] : [];
}

/** A line for each note. */
export function noteLines({ notes }: Report): string[] {
  return notes.map((note) => `  ${note.kind}: ${note.text}`);
}

/** What `verify` says of a file without problems: `m.circle: verified, int8 of LiteRT's scheme, weights per channel, 9 quantized activations`. */
export function verifyLine({ model, quantized, schemes, ...counts }: VerifyReport): string {
  const said = schemes.length > 0 ? [schemesText(schemes)] : [];
  const hybrid = counts.floatOperatorsWithQuantizedWeights;
  const rest = counts.floatOperators - hybrid;
  if (hybrid > 0) said.push(`${counted(hybrid, "float operator")} with quantized weights`);
  if (rest > 0) said.push(counted(rest, hybrid > 0 ? "other float operator" : "float operator"));
  return `${model}: verified, ${[...said, counted(quantized, "quantized activation")].join(", ")}`;
}

/** What `verify` warns of: a line each, the first few. */
export function verifyWarnings({ warnings }: VerifyReport): string[] {
  const more = warnings.length - FEW;
  return [
    ...warnings.slice(0, FEW).map((text) => `  warning: ${text}`),
    ...(more > 0 ? [`  warning: and ${more} more (--json has all)`] : []),
  ];
}

/** "229 KB → 76 KB (−67 %)". */
export function sizes({ model, output }: Report): string {
  const percent = Math.round((100 * (output.bytes - model.bytes)) / model.bytes);
  const change = percent === 0 ? "±0" : `${percent > 0 ? "+" : "−"}${Math.abs(percent)}`;
  return `${sizeText(model.bytes)} → ${sizeText(output.bytes)} (${change} %)`;
}

/** Where ranges come from: "percentile 1–99 of 16 samples". */
function rangesText({ ranges }: Report): string {
  if (ranges?.source !== "samples") return "as recorded in the model";
  if (ranges.bySignature) return `${ranges.how} of ${ranges.bySignature.map(signatureSamplesText).join(", ")}`;
  const what = `${ranges.how} of ${counted(ranges.samples, "sample")}`;
  return ranges.random ? `ranges of random samples mean nothing (${what})` : what;
}

/** `16 samples of "encode"`. */
function signatureSamplesText({ signature, subgraph, samples, random }: SignatureSamples): string {
  const of = signature === undefined ? `subgraph ${subgraph}` : `"${signature}"`;
  return random
    ? `${counted(samples, "random sample")} of ${of} (these ranges mean nothing)`
    : `${counted(samples, "sample")} of ${of}`;
}

/** What `record` says it did. */
export function recordedLine(report: Report): string {
  return `${report.output.path}: ${counted(report.rangesWritten!, "range")}, ${rangesText(report)}`;
}

/** What of a Report must not be overlooked where one line has to do: "12 parts stay float, 1 warning"; mostly nothing. */
export function remarks(notes: Report["notes"], told = 0): string {
  const float = notes.filter((note) => note.kind === "float").length;
  const kept = notes.filter((note) => note.kind === "kept").length;
  const warnings = notes.filter((note) => note.kind === "warning").length + told;
  return [
    ...(kept > 0 ? [`${counted(kept, "operator")} quantized already`] : []),
    ...(float > 0 ? [`${counted(float, "part")} ${float === 1 ? "stays" : "stay"} float`] : []),
    ...(warnings > 0 ? [counted(warnings, "warning")] : []),
  ].join(", ");
}
