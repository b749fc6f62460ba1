/**
 * What gets its own number of bits: an operator, with those behind it that only move its values. A border between them would be a
 * conversion that no one needs.
 *
 *     conv1 ─▶ RESHAPE r ─▶ conv2      units: {conv1, r}, {conv2}
 */
import { activeNodes, type Graph, isConstant, type Node } from "../graph/graph.ts";
import { elementCount } from "../model/index.ts";
import { planOf, type WeightsAlone } from "../passes/transform/weights-plan.ts";
import { operandsWith, roleOf } from "../rules/operators.ts";
import { type Depths, depthsOf } from "./bisection.ts";

export interface Unit {
  /** Names of the tensors that its operators yield; layer settings go by them. */
  readonly names: readonly string[];
  /** Operators. */
  readonly operators: number;
  /** Multiplications of weights and activations; elements of the result where there are no weights. */
  readonly work: number;
  /** Depth of its first operator: the longest way from an input. */
  readonly depth: number;
}

/** The units of a graph in its order: operators that can have a scheme of their own, under names that no other has. */
export function unitsOf(graph: Graph, depths: Depths = depthsOf(graph)): Unit[] {
  const nodes = activeNodes(graph).filter(({ kind }) => kind === "operator" || kind === "result");
  const operatorOf = (node: Node) => (node.kind === "result" ? node.inputs[0]! : node);
  const byName = Map.groupBy(nodes, ({ name }) => name);
  const unitOf = new Map<Node, Node[]>();
  const units: Node[][] = [];
  for (const node of nodes) {
    const operator = operatorOf(node);
    const depth = depths.of.get(operator);
    const only = new Set(byName.get(node.name)!.map(operatorOf)).size === 1;
    if (operator.row.mixed === undefined || depth === undefined || !only || operator.dtype !== "FLOAT32") continue;
    const joined = unitOf.get(operator) ?? unitOf.get(movedBy(operator) ?? operator) ?? [];
    if (joined.length === 0) units.push(joined);
    if (!joined.includes(operator)) joined.push(operator);
    unitOf.set(operator, joined);
    if (node !== operator) unitOf.set(node, joined);
  }
  return units.map((own) => ({
    names: [...new Set(own.map(({ name }) => name))],
    operators: own.length,
    work: own.reduce((sum, node) => sum + workOf(node), 0),
    depth: depths.of.get(own[0]!)!,
  }));
}

/** The same where weights alone are quantized: operators with weights that the scheme takes, each by itself. */
export function weightUnitsOf(graph: Graph, weights: WeightsAlone, depths: Depths = depthsOf(graph)): Unit[] {
  const operators = activeNodes(graph).filter(({ kind }) => kind === "operator");
  const names = Map.groupBy(operators, ({ name }) => name);
  return operators.flatMap((node): Unit[] => {
    const plan = names.get(node.name)!.length === 1 ? planOf(node, weights) : null;
    const depth = depths.of.get(node);
    if (!plan || "float" in plan || depth === undefined) return [];
    return [{ names: [node.name], operators: 1, work: workOf(node), depth }];
  });
}

/** The operator whose values this one only moves; undefined for all others. */
function movedBy(node: Node): Node | undefined {
  if (node.row.fake !== "nothing") return undefined;
  const operands = operandsWith(node.row, node.inputs.length, "activation").map((index) => node.inputs[index]);
  const computed = operands.filter((operand) => operand && !isConstant(operand));
  return computed.length === 1 && computed[0]!.kind === "operator" ? computed[0]! : undefined;
}

function workOf(node: Node): number {
  const results = elementCount(node.shape);
  for (const [index, operand] of node.inputs.entries()) {
    const role = roleOf(node.row, index);
    if (!operand || !isConstant(operand) || role?.role !== "weights") continue;
    const channels = operand.shape.at(role.axis) ?? 1;
    return (results * elementCount(operand.shape)) / Math.max(1, channels);
  }
  return results;
}
