/** What `quantize` says it did. */

import type { Workspace } from "../driver/workspace.ts";
import { activeNodes, type Graph, isConstant } from "../graph/graph.ts";
import { SCHEMES } from "../rules/schemes.ts";
import { counted } from "../terminal/output.ts";
import { coloursFor } from "../terminal/streams.ts";

export interface Facts {
  readonly path: string;
  readonly sizes: string;
  /** What was done before quantization (src/prepare), one phrase a step. */
  readonly prepared: readonly string[];
  /** How ranges were recorded; null when they were in the file. */
  readonly how: string | null;
  readonly seconds: number;
}

export function summary({ context }: Workspace, graphs: readonly Graph[], facts: Facts): string[] {
  const colours = coloursFor(1);
  const { options } = context;
  const nodes = graphs.flatMap(activeNodes);
  const quantized = nodes.filter(
    (node) => node.quant?.scale.length && node.kind !== "output" && node.dtype !== "FLOAT32",
  );
  const activations = quantized.filter((node) => !isConstant(node)).length;
  const constants = quantized.length - activations;
  const lines = [
    `${colours.bold(facts.path)}: ${SCHEMES[options.dtype].name}, one scale a ${options.granularity}, ${facts.sizes}, ${facts.seconds.toFixed(1)} s`,
    `  ${counted(activations, "activation")} and ${counted(constants, "constant")} quantized; verified`,
    `  ranges: ${facts.how ?? "as recorded in the model"}`,
  ];
  if (facts.prepared.length > 0) lines.push(`  prepared: ${facts.prepared.join("; ")}`);
  const float = context.notes.filter((note) => note.kind === "float");
  if (float.length > 0) {
    lines.push(`  ${colours.yellow("stays float")} (${float.length}):`);
    for (const note of float) lines.push(`    ${note.text}`);
  }
  const warnings = context.notes.filter((note) => note.kind === "warning");
  for (const note of warnings) lines.push(`  ${colours.yellow("warning")}: ${note.text}`);
  return lines;
}

/** What of a summary must not be overlooked where one line has to do: "12 parts stay float, 1 warning"; mostly nothing. */
export function remarks(lines: readonly string[]): string {
  const float = Number(lines.map((line) => /^ {2}stays float \((\d+)\):$/.exec(line)?.[1]).find(Boolean) ?? 0);
  const warnings = lines.filter((line) => /^ *warning: /.test(line)).length;
  return [
    ...(float > 0 ? [`${counted(float, "part")} ${float === 1 ? "stays" : "stay"} float`] : []),
    ...(warnings > 0 ? [counted(warnings, "warning")] : []),
  ].join(", ");
}
