/**
 * Will a target load a graph and compute it rightly? Reads rows of the table of targets (src/rules/targets.ts) and changes nothing.
 *
 *     FULLY_CONNECTED with a scale for each channel   →   wrong: onert uses the first one for all
 */
import { activeNodes, type Dtype, describe, type Graph, isConstant, type Node } from "../../graph/graph.ts";
import { importGraph } from "../../graph/import.ts";
import type { Model } from "../../model/index.ts";
import { operandsWith, RULES_OF } from "../../rules/operators.ts";
import { type Consequence, hasKernel, type Target, targetRow } from "../../rules/targets.ts";
import type { ConstantScanner } from "../../weights/scan.ts";
import type { Context } from "../context.ts";
import { isInteger, nameOf, type Problem } from "./case.ts";
import { problemOf } from "./operator-rules.ts";

/** What is wrong with an operator or an output of a graph. */
export interface Finding extends Problem {
  readonly node: Node;
}

/** The graphs of a file as it is, with the rules of the target's kernels. */
export function graphsFor(model: Model, target: Target): Graph[] {
  return (model.subgraphs ?? []).map((_, index) => importGraph(model, index, RULES_OF[target.family]));
}

/** What the target refuses, what it computes wrongly and what its host runs, in the order of the operators; empty where all is well. */
export function checkTarget(graph: Graph, target: Target, scanner: ConstantScanner): Finding[] {
  const found: Finding[] = [];
  for (const node of activeNodes(graph)) {
    const problem = node.kind === "operator" ? problemOf(node, target, scanner) : null;
    if (problem) found.push({ node, ...problem });
  }
  for (const output of graph.outputs) {
    if (output.inputs[0]?.kind !== "variable") continue;
    const text = "nothing computes it; remove it from the outputs";
    found.push({ node: output, consequence: "refused", kind: "that nothing computes", text });
  }
  return found;
}

/**
 * A line for each fault in some graphs. `planned`: the dtype that float activations are to get; an NPU may have a kernel for that where its host has
 * none for float.
 */
export function targetProblems(
  { graphs, scanner }: Pick<Context, "graphs" | "scanner">,
  target: Target,
  planned?: Dtype,
): string[] {
  const later = ({ node, missing }: Finding) =>
    planned !== undefined && missing && target.host && hasKernel(target, node.op, planned);
  return graphs
    .flatMap((graph) => checkTarget(graph, target, scanner))
    .filter((finding) => isFault(finding) && !later(finding))
    .map(({ node, text }) => `${describe(node)}: ${text}`);
}

/** Whether a finding is a fault: what runs on the CPU is slower, and right. */
export function isFault({ consequence }: Finding): boolean {
  return consequence !== "on the CPU";
}

/** One line of what an NPU's compiler leaves to the CPU; null where that is nothing. */
export function onTheCpu({ graphs, scanner }: Pick<Context, "graphs" | "scanner">, target: Target): string | null {
  const said = tallyFindings(
    graphs.flatMap((graph) => checkTarget(graph, target, scanner)),
    "on the CPU",
  );
  return said ? `${said}: on the CPU ('minmaxq check --target ${target.name}' says why)` : null;
}

/** Things to know that are no faults: what an operator's row remarks on quantized ones, and unknown dimensions. */
export function remarksOn(graph: Graph, target: Target, scanner?: ConstantScanner): string[] {
  const remarks = new Map<string, number>();
  const add = (text: string) => remarks.set(text, (remarks.get(text) ?? 0) + 1);
  for (const node of activeNodes(graph)) {
    const { remark } = targetRow(target, node.op);
    if (node.kind === "operator" && remark && isInteger(node)) add(`${node.op}: ${remark}`);
    if (node.kind === "operator" && target.narrowWeights && scanner && hasLowest(node, scanner))
      add(`${node.op}: has weights of −128, and ${target.narrowWeights}`);
  }
  if (target.dropsShapeSignatures)
    for (const input of graph.inputs)
      if (input.tensor?.shapeSignature?.some((dim) => dim < 0))
        add(`${describe(input)}: has unknown dimensions, which have to be set before it runs`);
  return [...remarks].map(([text, count]) => (count > 1 ? `${count} ${text}` : text));
}

/** Whether its weights of 8 bits, as they are in the file, have −128. */
function hasLowest(node: Node, scanner: ConstantScanner): boolean {
  const [index] = operandsWith(node.row, node.inputs.length, "weights");
  const weights = index === undefined ? null : node.inputs[index];
  if (!isConstant(weights) || weights.dtype !== "INT8" || weights.constant.kind !== "stored") return false;
  return scanner.bytes(weights.constant).includes(0x80);
}

/** "2 FULLY_CONNECTED per channel, 1 PRELU without a kernel", by what happens. */
export function tallyFindings(findings: readonly Finding[], consequence: Consequence): string {
  const counts = new Map<string, number>();
  for (const { node, kind, ...rest } of findings)
    if (rest.consequence === consequence) {
      const what = `${nameOf(node)} ${kind}`;
      counts.set(what, (counts.get(what) ?? 0) + 1);
    }
  return [...counts].map(([what, count]) => `${count} ${what}`).join(", ");
}

/**
 * One line for those who name no target: what a target would not do with a result that is not made for it; null where all is well.
 */
export function targetHint({ graphs, scanner }: Pick<Context, "graphs" | "scanner">, target: Target): string | null {
  const findings = graphs.flatMap((graph) => checkTarget(graph, target, scanner));
  const wrong = tallyFindings(findings, "wrong");
  const refused = tallyFindings(findings, "refused");
  const said = [
    ...(wrong ? [`${wrong}: ${target.runtime} computes them wrongly`] : []),
    ...(refused ? [`${refused}: ${wrong ? "it" : target.runtime} refuses them`] : []),
  ];
  return said.length > 0 ? `${said.join("; ")}; --target ${target.name}` : null;
}
