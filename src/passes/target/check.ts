/**
 * Will a target load a graph and compute it rightly? Reads rows of the table of targets (src/rules/targets.ts) and changes nothing.
 *
 *     FULLY_CONNECTED with a scale for each channel   →   wrong: onert uses the first one for all
 */
import { activeNodes, describe, type Graph, type Node } from "../../graph/graph.ts";
import { type Consequence, type Target, targetRow } from "../../rules/targets.ts";
import type { ConstantScanner } from "../../weights/scan.ts";
import type { Context } from "../context.ts";
import { isInteger, nameOf, type Problem, problemOf } from "./operator-rules.ts";

/** What is wrong with an operator or an output of a graph. */
export interface Finding extends Problem {
  readonly node: Node;
}

/** What the target refuses and what it computes wrongly, in the order of the operators; empty where all is well. */
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

/** A line for each finding in some graphs. */
export function targetProblems({ graphs, scanner }: Pick<Context, "graphs" | "scanner">, target: Target): string[] {
  return graphs
    .flatMap((graph) => checkTarget(graph, target, scanner))
    .map(({ node, text }) => `${describe(node)}: ${text}`);
}

/** Things to know that are no faults: what an operator's row remarks on quantized ones, and unknown dimensions. */
export function remarksOn(graph: Graph, target: Target): string[] {
  const remarks = new Map<string, number>();
  const add = (text: string) => remarks.set(text, (remarks.get(text) ?? 0) + 1);
  for (const node of activeNodes(graph)) {
    const { remark } = targetRow(target, node.op);
    if (node.kind === "operator" && remark && isInteger(node)) add(`${node.op}: ${remark}`);
  }
  if (target.dropsShapeSignatures)
    for (const input of graph.inputs)
      if (input.tensor?.shapeSignature?.some((dim) => dim < 0))
        add(`${describe(input)}: has unknown dimensions, which have to be set before it runs`);
  return [...remarks].map(([text, count]) => (count > 1 ? `${count} ${text}` : text));
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
