/** What is in a model as lines: a summary that fits a terminal, and lists. Facts: src/inspect/facts.ts. */
import { counted, sizeText } from "../base/text.ts";
import type { InspectReport, OperatorCount, SubgraphFacts, TensorFacts } from "../inspect/facts.ts";
import type { TensorDetails } from "../inspect/tensor.ts";
import { elementCount } from "../model/index.ts";
import { shortNumber } from "../model/text.ts";
import type { Colours } from "../terminal/streams.ts";
import { type Column, cells, labelled, plain, shortened, tableLines, type Width, wrapped } from "../terminal/table.ts";

/** How lines look. */
export interface Look {
  readonly colours: Colours;
  readonly width: Width;
}

/** Where texts behind labels begin. */
export const INDENT = 16;
/** Rows of the summary's lists. */
const MOST_ENDS = 6;
const MOST_KINDS = 12;

/** The default of `inspect`. */
export function summaryLines(report: InspectReport, look: Look): string[] {
  const { colours, width } = look;
  const { path, format, bytes, description, subgraphs, parameters, quantization, metadata, files } = report;
  const lines = [`${colours.bold(path)}: ${format}, ${sizeText(bytes)}`];
  const say = (label: string, text: string) => {
    if (text !== "") lines.push(...labelled(`  ${label}`, text, width, INDENT));
  };
  say("made by", description);
  if (subgraphs.length > 1)
    say(
      "subgraphs",
      subgraphs
        .map(({ name }, index) => name || String(index))
        .map(plain)
        .join(", "),
    );
  const [main] = subgraphs;
  if (main) lines.push(...endLines("inputs", main, look), ...endLines("outputs", main, look));
  const count = report.operators.reduce((sum, each) => sum + each.count, 0);
  say("operators", count === 0 ? "none" : String(count));
  lines.push(...kindLines(report.operators, width));
  const dtypes = parameters.byDtype.slice(0, 4).map(({ dtype, bytes: own }) => `${dtype} ${sizeText(own)}`);
  const more = parameters.byDtype.length > 4 ? " …" : "";
  say(
    "parameters",
    `${countText(parameters.count)} in ${counted(parameters.constants, "constant")}: ${dtypes.join(", ")}${more}`,
  );
  say("quantization", quantization.text);
  const ofMany = report.subgraphs.length > 1;
  const defs = report.signatureDefs.map(
    ({ name, subgraph }) => `${plain(name) || '""'}${ofMany ? ` (subgraph ${subgraph})` : ""}`,
  );
  say("signatures", defs.join(", "));
  say("metadata", metadata.map(plain).join(", "));
  if (files.length > 0)
    lines.push(...labelled("  associated files:", filesText(files), width, "  associated files: ".length));
  lines.push(...associatedLines(report, look));
  for (const line of report.unknown)
    lines.push(...wrapped(`  ${colours.yellow("not understood")}: ${line}`, width, "    "));
  return lines;
}

/** Which files belong to which input or output, with the first labels; then what is wrong with them. */
function associatedLines({ associatedFiles, warnings, subgraphs }: InspectReport, { colours, width }: Look): string[] {
  const nameOf = (subgraph: number, tensor: number) => `"${plain(subgraphs[subgraph]!.tensors[tensor]!.name)}"`;
  const of = associatedFiles.flatMap(({ subgraph, what, tensor, files }) =>
    files.map(({ name, type, locale, present, lines }) => {
      const list = lines && `${lines.count.toLocaleString("en-US")}: ${lines.first.map(plain).join(", ")}`;
      const more = lines && lines.count > lines.first.length ? ", …" : "";
      const facts = present ? (list ? `, ${list}${more}` : "") : ", not in the file";
      return `    ${what} ${nameOf(subgraph, tensor)}: ${plain(name)} (${type}${locale ? `, ${plain(locale)}` : ""})${facts}`;
    }),
  );
  const wrong = warnings.map(
    ({ subgraph, tensor, text }) => `  ${colours.yellow("warning")}: ${nameOf(subgraph, tensor)}: ${plain(text)}`,
  );
  return [...of, ...wrong].flatMap((line) => wrapped(line, width, "      "));
}

function filesText(files: InspectReport["files"]): string {
  return files.map(({ name, bytes }) => `${plain(name)} (${sizeText(bytes)})`).join(", ");
}

/** "1.25 million", "31 thousand". */
function countText(count: number): string {
  if (count >= 1e9) return `${Number((count / 1e9).toPrecision(3))} billion`;
  if (count >= 1e6) return `${Number((count / 1e6).toPrecision(3))} million`;
  return count.toLocaleString("en-US");
}

const END_COLUMNS: readonly Column[] = [{ shrinks: true }, {}, {}, {}];

function endLines(what: "inputs" | "outputs", graph: SubgraphFacts, { colours, width }: Look): string[] {
  const all = graph[what];
  if (all.length === 0) return [`  ${what.padEnd(INDENT - 2)}none`];
  const rows = all.slice(0, MOST_ENDS).map((index) => {
    const tensor = graph.tensors[index]!;
    const alias = graph.signatureNames[what][index];
    const signature = alias === undefined || alias === tensor.name ? "" : `("${plain(alias)}" in the signature)`;
    return [tensor.name, typeText(tensor), parametersText(tensor), signature];
  });
  // On a terminal a signature's name may be as long as the tensor's.
  const room = width && width - INDENT;
  const table = tableLines(END_COLUMNS, rows, room);
  const lines = table.flatMap((line, at) => {
    const label = at === 0 ? colours.cyan(`  ${what}`) + " ".repeat(INDENT - 2 - what.length) : " ".repeat(INDENT);
    return wrapped(label + line, width, " ".repeat(INDENT + 2));
  });
  if (all.length > MOST_ENDS)
    lines.push(`${" ".repeat(INDENT)}… and ${all.length - MOST_ENDS} more (--signatures, --tensors)`);
  return lines;
}

function kindLines(kinds: readonly OperatorCount[], width: Width): string[] {
  const shown = kinds.slice(0, MOST_KINDS);
  const rows = shown.map(({ op, dtype, weights, count }) => [
    String(count),
    plain(op),
    weights ? `${dtype}, constants ${weights}` : dtype,
  ]);
  const lines = tableLines([{ align: "right" }, { shrinks: true }, {}], rows, width && width - 4).map(
    (line) => `    ${line}`,
  );
  const rest = kinds.slice(MOST_KINDS).reduce((sum, { count }) => sum + count, 0);
  if (rest > 0) lines.push(`    … and ${rest} of ${kinds.length - MOST_KINDS} more kinds and dtypes (--operators)`);
  return lines;
}

function typeText({ dtype, shape }: TensorFacts): string {
  return `${dtype}[${shape}]`;
}

/** `scale 0.0235 zero point 128 range -1…2`: six digits. */
function parametersText({ scale, zeroPoint, axis, min, max }: TensorFacts): string {
  const parts: string[] = [];
  if (scale?.length === 1) parts.push(`scale ${shortNumber(scale[0]!)} zero point ${zeroPoint?.[0] ?? 0}`);
  else if (scale) parts.push(`${scale.length} scales ${extremes(scale)} along axis ${axis ?? 0}`);
  if (min?.length === 1 && max?.length === 1) parts.push(`range ${shortNumber(min[0]!)}…${shortNumber(max[0]!)}`);
  return parts.join(" ");
}

function extremes(values: readonly number[]): string {
  const [least, most] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  return `${shortNumber(least)}…${shortNumber(most)}`;
}

/** Each subgraph below its heading, where there are several. */
function bySubgraph(
  report: InspectReport,
  { colours }: Look,
  lines: (graph: SubgraphFacts, index: number) => string[],
): string[] {
  return report.subgraphs.flatMap((graph, index) => [
    ...(report.subgraphs.length > 1 ? [colours.bold(`subgraph ${index} "${plain(graph.name)}"`)] : []),
    ...lines(graph, index),
  ]);
}

/** `--operators`: each operator with its results, and its constants below it. */
export function operatorLines(report: InspectReport, look: Look): string[] {
  return [...headLines(report, look), ...bySubgraph(report, look, (graph) => listing(graph, look))];
}

function headLines(
  { path, format, bytes, description, signatures, metadata, files, unknown }: InspectReport,
  look: Look,
) {
  const { colours, width } = look;
  const lines = [`${colours.bold(path)}: ${format}, ${sizeText(bytes)}`];
  const said = Object.entries({
    "made by": description,
    signatures: signatures.join(", "),
    metadata: metadata.join(", "),
    "associated files": filesText(files),
  });
  for (const [label, text] of said)
    if (text !== "") lines.push(...labelled(`  ${label}: `, plain(text), width, label.length + 4));
  for (const line of unknown) lines.push(...wrapped(`  ${colours.yellow("not understood")}: ${line}`, width, "    "));
  return lines;
}

function listing({ tensors, operators, inputs, outputs }: SubgraphFacts, { colours, width: columns }: Look): string[] {
  const line = (label: string, index: number, colour: (text: string) => string = String) => {
    const before = `  ${label} `;
    const room = columns && columns - cells(before);
    const text = index < 0 ? "–" : tensorLine(tensors[index]!, room);
    const lines = wrapped(before + text, columns, " ".repeat(cells(before) + 2));
    return lines.map((each, at) => (at === 0 ? before + colour(each.slice(before.length)) : colour(each)));
  };
  const counts = Map.groupBy(tensors, ({ dtype }) => dtype);
  const dtypes = [...counts].map(([dtype, all]) => `${all.length} ${dtype}`).join(", ");
  const width = Math.max(...operators.map(({ op }) => op.length), 0);
  const first = `  ${counted(operators.length, "operator")}, ${counted(tensors.length, "tensor")} (${dtypes})`;
  return [
    ...wrapped(first, columns, "    "),
    ...inputs.flatMap((index) => line(colours.cyan("input "), index)),
    ...outputs.flatMap((index) => line(colours.cyan("output"), index)),
    ...operators.flatMap(({ op, inputs: operands, outputs: results }) => [
      ...results.flatMap((index, at) => line(at === 0 ? colours.green(op.padEnd(width)) : " ".repeat(width), index)),
      ...operands
        .filter((index) => index >= 0 && tensors[index]!.constant && elementCount(tensors[index]!.shape) > 1)
        .flatMap((index) => line(`${" ".repeat(width)}  `, index, colours.dim)),
    ]),
  ];
}

/** `y UINT8[1,8] scale 0.0235 zero point 128`, the name without its middle where there is no room for it. */
function tensorLine(tensor: TensorFacts, width: Width): string {
  const facts = `${typeText(tensor)} ${parametersText(tensor)}`.trimEnd();
  return `${shortened(tensor.name, width && Math.max(12, width - facts.length - 1))} ${facts}`;
}

const TENSOR_COLUMNS: readonly Column[] = [
  { heading: "#", align: "right" },
  { heading: "kind" },
  { heading: "tensor", shrinks: true },
  { heading: "type" },
  { heading: "scale", align: "right" },
  { heading: "zero", align: "right" },
  { heading: "range" },
];

/** `--tensors`: a row for each. */
export function tensorLines(report: InspectReport, look: Look): string[] {
  return bySubgraph(report, look, (graph) => {
    const rows = graph.tensors.map((tensor, index) => [
      String(index),
      kindOf(graph, index),
      tensor.name,
      typeText(tensor),
      ...scaleCells(tensor),
      tensor.min?.length === 1 && tensor.max?.length === 1
        ? `${shortNumber(tensor.min[0]!)}…${shortNumber(tensor.max[0]!)}`
        : "",
    ]);
    return tableLines(
      used(TENSOR_COLUMNS, rows),
      rows.map((row) => usedCells(row, rows)),
      look.width,
      look.colours.bold,
    );
  });
}

function kindOf({ inputs, outputs, tensors }: SubgraphFacts, index: number): string {
  if (tensors[index]!.constant) return "const";
  return inputs.includes(index) ? "in" : outputs.includes(index) ? "out" : "";
}

function scaleCells({ scale, zeroPoint }: TensorFacts): [scale: string, zeroPoint: string] {
  if (!scale) return ["", ""];
  if (scale.length > 1) return [`${scale.length} scales`, ""];
  return [shortNumber(scale[0]!), String(zeroPoint?.[0] ?? 0)];
}

/** Columns that say something in a row at least. */
function used<T>(columns: readonly T[], rows: readonly (readonly string[])[]): T[] {
  return columns.filter((_, at) => rows.some((row) => row[at] !== ""));
}
function usedCells(row: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return row.filter((_, at) => rows.some((each) => each[at] !== ""));
}

const CONSTANT_COLUMNS: readonly Column[] = [
  { heading: "bytes", align: "right" },
  { heading: "share", align: "right" },
  { heading: "constant", shrinks: true },
  { heading: "type" },
  { heading: "scale", align: "right" },
  { heading: "zero", align: "right" },
];

/** `--constants`: the largest first. */
export function constantLines(report: InspectReport, look: Look): string[] {
  return bySubgraph(report, look, ({ tensors }) => {
    const constants = tensors.filter(({ constant }) => constant).sort((a, b) => b.bytes - a.bytes);
    if (constants.length === 0) return ["no constants"];
    const rows = constants.map((tensor) => [
      sizeText(tensor.bytes),
      `${((100 * tensor.bytes) / report.bytes).toFixed(1)} %`,
      tensor.name,
      typeText(tensor),
      ...scaleCells(tensor),
    ]);
    return tableLines(
      used(CONSTANT_COLUMNS, rows),
      rows.map((row) => usedCells(row, rows)),
      look.width,
      look.colours.bold,
    );
  });
}

/** `--signatures`: what each calls its inputs and outputs, and the tensors that are meant. */
export function signatureLines({ signatureDefs, subgraphs }: InspectReport, { colours, width }: Look): string[] {
  if (signatureDefs.length === 0)
    return ["no signatures; inputs and outputs are known by their tensors' names and order"];
  return signatureDefs.flatMap(({ name, subgraph, inputs, outputs }) => {
    const row = (what: string) => (each: { name: string; tensor: number }) => {
      const tensor = subgraphs[subgraph]?.tensors[each.tensor];
      return [what, plain(each.name), tensor ? typeText(tensor) : "", tensor?.name ?? `tensor ${each.tensor}`];
    };
    const rows = [...inputs.map(row("input")), ...outputs.map(row("output"))];
    const columns: Column[] = [{}, {}, {}, { shrinks: true }];
    const where = subgraphs.length > 1 ? `, subgraph ${subgraph}` : "";
    return [
      `${colours.bold(`signature "${plain(name)}"`)}${where}`,
      ...tableLines(columns, rows, width && width - 2).map((line) => `  ${line}`),
    ];
  });
}

/** `--tensor`: everything of one. */
export function detailLines(
  { facts, subgraph, index, kind, yielded, readers, signature, values, stands }: TensorDetails,
  { colours, width }: Look,
): string[] {
  const lines = wrapped(`${colours.bold(plain(facts.name))}`, width);
  const say = (label: string, text: string) => lines.push(...labelled(`  ${label}`, text, width, INDENT));
  say("tensor", `${index} of subgraph ${subgraph}, ${kind}`);
  say("type", `${typeText(facts)}, ${counted(elementCount(facts.shape) || 0, "element")}`);
  if (facts.constant) say("bytes", sizeText(facts.bytes));
  if (signature) say("signature", `"${plain(signature)}"`);
  const parameters = parametersText(facts);
  if (parameters !== "") say("parameters", parameters);
  if (stands) say("stands for", `${shortNumber(stands[0])} … ${shortNumber(stands[1])}`);
  if (yielded) say("yielded by", plain(yielded));
  for (const [at, reader] of readers.entries()) say(at === 0 ? "read by" : "", plain(reader));
  if (readers.length === 0 && kind !== "output") say("read by", "no operator");
  if (values) {
    say("values", `${shortNumber(values.least)} … ${shortNumber(values.most)}, mean ${shortNumber(values.mean)}`);
    say("first", `${values.first.map(shortNumber).join(", ")}${values.more ? " …" : ""}`);
  }
  return lines;
}
