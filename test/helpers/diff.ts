/**
 * Differences between two models' facts: a port of `diff` in ../shared/tools/circle_facts.py, rule by rule.
 *
 * Operators are matched by the names of their results, constants by where they are used, activations by name; a number
 * that only makes a Quantize/Dequantize name unique (X_Quantize_21) is not compared. All numbers are compared bit for bit.
 */
import { isDeepStrictEqual } from "node:util";
import type { GraphFacts, ModelFacts, OperatorFacts, TensorFacts } from "./facts.ts";

/** What stands for an absent operand (index -1). */
const ABSENT = { name: "", absent: true } as unknown as TensorFacts;

/** One line per difference; none when the models are the same in all that counts. */
export function diffFacts(expected: ModelFacts, actual: ModelFacts): string[] {
  if (expected.graphs.length !== actual.graphs.length) {
    return [`${expected.graphs.length} subgraphs != ${actual.graphs.length}`];
  }
  return [...new Set(expected.graphs.flatMap((graph, index) => graphDiff(index, graph, actual.graphs[index]!)))];
}

function graphDiff(index: number, a: GraphFacts, b: GraphFacts): string[] {
  const lines: string[] = [];
  for (const key of ["inputs", "outputs"] as const) {
    if (a[key].length !== b[key].length) {
      lines.push(`graph ${index}: ${key} count`);
      continue;
    }
    a[key].forEach((left, i) => {
      const tensor = tensorAt(a, left);
      lines.push(...tensorDiff(`${key}[${i}] ${tensor.name}`, tensor, tensorAt(b, b[key][i]!)));
    });
  }
  const byResults = new Map<string, OperatorFacts[]>();
  for (const operator of b.operators) {
    const key = resultNames(b, operator);
    byResults.set(key, [...(byResults.get(key) ?? []), operator]);
  }
  if (a.operators.length !== b.operators.length) {
    lines.push(`graph ${index}: ${a.operators.length} operators != ${b.operators.length}`);
  }
  for (const operator of a.operators) {
    const key = resultNames(a, operator);
    const candidates = byResults.get(key) ?? [];
    if (candidates.length === 0) {
      lines.push(`no operator gives ${key} (${operator.op})`);
      continue;
    }
    const diffs = candidates.map((candidate) => operatorDiff(a, operator, b, candidate));
    const nearest = diffs.reduce((best, each, i) => (each.length < diffs[best]!.length ? i : best), 0);
    candidates.splice(nearest, 1);
    lines.push(...diffs[nearest]!);
  }
  return lines;
}

function operatorDiff(a: GraphFacts, left: OperatorFacts, b: GraphFacts, right: OperatorFacts): string[] {
  const lines: string[] = [];
  const where = `${left.op} ${left.outputs.length > 0 ? tensorAt(a, left.outputs[0]!).name : ""}`;
  if (left.op !== right.op) lines.push(`${where}: op ${right.op}`);
  // An empty option table and an absent one mean the same: all defaults of an operator without options.
  const bothTell = Object.keys(left.options).length > 0 && Object.keys(right.options).length > 0;
  if (bothTell && !isDeepStrictEqual(left.options, right.options)) {
    lines.push(`${where}: options ${JSON.stringify(left.options)} != ${JSON.stringify(right.options)}`);
  }
  const [x, y] = [operands(left), operands(right)];
  // A RESHAPE may carry its shape in the options alone.
  if (x.length !== y.length && left.op !== "RESHAPE") lines.push(`${where}: operand count ${x.length} != ${y.length}`);
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const [p, q] = [tensorAt(a, x[i]!), tensorAt(b, y[i]!)];
    lines.push(...tensorDiff(`${where} operand ${i} ${p.name}`, p, q, !p.const));
  }
  for (let i = 0; i < Math.min(left.outputs.length, right.outputs.length); i++) {
    lines.push(...tensorDiff(`${where} result ${i}`, tensorAt(a, left.outputs[i]!), tensorAt(b, right.outputs[i]!)));
  }
  return lines;
}

function tensorDiff(where: string, a: TensorFacts, b: TensorFacts, names = true): string[] {
  const lines: string[] = [];
  for (const key of ["dtype", "shape", "sha256"] as const) {
    if (!isDeepStrictEqual(a[key], b[key])) lines.push(`${where}: ${key} ${told(a[key])} != ${told(b[key])}`);
  }
  if (names && baseName(a.name) !== baseName(b.name)) lines.push(`${where}: name ${a.name} != ${b.name}`);
  for (const key of ["scale", "zero_point", "min", "max"] as const) {
    const [x, y] = [a.quant?.[key], b.quant?.[key]];
    if (!isDeepStrictEqual(x ?? [], y ?? [])) lines.push(`${where}: ${key} ${told(x)} != ${told(y)}`);
  }
  if ((a.quant?.scale.length ?? 0) > 1 && a.quant?.axis !== b.quant?.axis) {
    lines.push(`${where}: axis ${a.quant?.axis} != ${b.quant?.axis}`);
  }
  return lines;
}

/** Operand indices without absent ones at the end. */
function operands(operator: OperatorFacts): number[] {
  let length = operator.inputs.length;
  while (length > 0 && operator.inputs[length - 1]! < 0) length--;
  return operator.inputs.slice(0, length);
}

function tensorAt(graph: GraphFacts, index: number): TensorFacts {
  return index >= 0 ? graph.tensors[index]! : ABSENT;
}

function resultNames(graph: GraphFacts, operator: OperatorFacts): string {
  return JSON.stringify(operator.outputs.map((index) => baseName(tensorAt(graph, index).name)));
}

function baseName(name: string): string {
  return name.replace(/(_(?:Quantize|Dequantize))_\p{Nd}+$/u, "$1");
}

function told(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 80) ?? "nothing";
}
