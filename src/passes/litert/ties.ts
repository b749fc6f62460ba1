/**
 * Kernels that only move, choose or compare integers need one scale and zero point for all tensors that they do that with. Such tensors are
 * a class, across any number of operators, and a class has one range.
 *
 *     x: −1…1 ─┐
 *              ├▶ CONCATENATION y: −1…6 ─▶ RESHAPE z   →   x, c, y and z: −1…6
 *     c:  0…6 ─┘
 *     LOGISTIC p (1/256) ─▶ CONCATENATION y: −1…6      →   p ─▶ Quantize (y's parameters) ─▶ CONCATENATION
 *
 * Functions pin their results. Where two demands disagree, or a tensor would lose a bit or more for its other readers, a Quantize stands on
 * that edge.
 */
import { addQuantize } from "../../graph/edit.ts";
import { activeNodes, type Dtype, type Graph, isConstant, type Node, setInput, yieldedBy } from "../../graph/graph.ts";
import { hasRange, perTensor, type QuantParam, quantParam, sameScaleAndZeroPoint } from "../../graph/quantparam.ts";
import { tiedIn, tiedOperands } from "../../rules/operators.ts";
import { type ActivationQuantizer, parametersOfRange, rangeOfParameters } from "../../rules/schemes.ts";
import { kernelRow } from "../../rules/targets.ts";
import { type Context, isQuantizedIn, schemeOf } from "../context.ts";
import { fixedParameters } from "./fixed.ts";
import { firstValues, variablesOf } from "./variables.ts";

/** An operand of an operator that has the parameters of its results. */
interface Edge {
  readonly user: Node;
  readonly index: number;
  readonly operand: Node;
  readonly results: readonly Node[];
  /** The operator ties several operands: another one may demand something else. */
  readonly joins: boolean;
}

/** How much wider a class may be before a tensor with other readers keeps parameters of its own: a bit. */
const WIDER = 2;

export function tieParameters(graph: Graph, context: Context): void {
  const edges = edgesOf(graph, context);
  const cut = new Set<Edge>(edges.filter((edge) => !isConstant(edge.operand) && losesForOthers(edge)));
  let classes = classesOf(edges, cut);
  for (let before = -1; before !== cut.size; ) {
    before = cut.size;
    for (const one of classes) for (const edge of disagreeing(one, edges, cut, context)) cut.add(edge);
    if (cut.size !== before) classes = classesOf(edges, cut);
  }
  for (const one of classes) giveParameters(one, context);
  for (const edge of cut) requantize(graph, edge, context);
  for (const output of graph.outputs)
    if (!output.float && output.quant && output.inputs[0]?.quant) output.quant = output.inputs[0].quant;
}

function edgesOf(graph: Graph, context: Context): Edge[] {
  const edges: Edge[] = [];
  for (const node of activeNodes(graph)) {
    if (node.kind !== "operator" || node.float) continue;
    const { family, activation } = schemeOf(context, node);
    const rescales = node.row.families?.[family]?.rescales?.includes(activation.dtype);
    const tied = new Set([
      ...(rescales ? [] : tiedOperands(node.row, node.inputs.length, family)),
      ...tiedByTarget(node, activation.dtype, context),
    ]);
    const results = yieldedBy(node).filter((result) => result.quant && isQuantizedIn(context, result));
    if (results.length === 0) continue;
    for (const index of tied) {
      const operand = node.inputs[index];
      const constant = isConstant(operand) && operand.dtype === "FLOAT32";
      if (!operand || !(constant || (operand.quant && operand.dtype === activation.dtype))) continue;
      edges.push({ user: node, index, operand, results, joins: tied.size > 1 });
    }
  }
  return [...edges, ...edgesOfVariables(graph, context)];
}

/** What is written to a variable has the parameters of all that read it; the range of its first value counts. */
function edgesOfVariables(graph: Graph, { graphs }: Context): Edge[] {
  const first = firstValues(graph, graphs);
  return [...variablesOf(graph)].flatMap(([name, all]) => {
    const uses = all.filter(({ node, value }) => node.float === null && value.quant);
    const reads = uses.filter(({ index }) => index === undefined).map(({ value }) => value);
    const writes = uses.flatMap(({ node, value, index }) => (index === undefined ? [] : [{ node, value, index }]));
    // Nothing reads it here: then all that is written goes with what is written first.
    const results = reads.length > 0 ? reads : writes.slice(0, 1).map(({ value }) => value);
    if (results.length === 0) return [];
    const given = (first.get(name) ?? []).flatMap(({ node, value, index }) =>
      index === undefined ? [] : [{ node, value, index }],
    );
    return [...writes, ...given]
      .filter(({ value }) => !results.includes(value))
      .map(({ node, value, index }) => ({ user: node, index, operand: value, results, joins: true }));
  });
}

/** Operands that the target wants tied beside the family's. */
function tiedByTarget({ op, row, inputs }: Node, dtype: Dtype, { options: { target } }: Context): readonly number[] {
  const tied = target && kernelRow(target, op).tied;
  if (!tied || tied.rescales?.includes(dtype) || (tied.dtypes && !tied.dtypes.includes(dtype))) return [];
  return tiedIn(tied.operands, row, inputs.length);
}

interface Class {
  readonly members: readonly Node[];
  readonly edges: readonly Edge[];
}

/** Classes of tensors that edges without those of `cut` hold together, in creation order. */
function classesOf(edges: readonly Edge[], cut: ReadonlySet<Edge>): Class[] {
  const parent = new Map<Node, Node>();
  const root = (node: Node): Node => {
    let at = node;
    for (let up = parent.get(at); up && up !== at; up = parent.get(at)) at = up;
    if (at !== node) parent.set(node, at);
    return at;
  };
  const union = (a: Node, b: Node) => {
    const [first, second] = [root(a), root(b)];
    for (const each of [first, second]) if (!parent.has(each)) parent.set(each, each);
    // The older one stays, so that classes do not depend on the order of edges.
    if (first.id <= second.id) parent.set(second, first);
    else parent.set(first, second);
  };
  for (const edge of edges) {
    const [first, ...others] = edge.results;
    for (const result of others) union(first!, result);
    union(first!, cut.has(edge) || isConstant(edge.operand) ? first! : edge.operand);
  }
  const members = new Map<Node, Node[]>();
  for (const node of [...parent.keys()].sort((a, b) => a.id - b.id)) {
    const of = root(node);
    members.set(of, [...(members.get(of) ?? []), node]);
  }
  const own = new Map<Node, Edge[]>();
  for (const edge of edges) {
    const of = root(edge.results[0]!);
    own.set(of, [...(own.get(of) ?? []), edge]);
  }
  return [...members].map(([of, nodes]) => ({ members: nodes, edges: own.get(of) ?? [] }));
}

/** A join would make an operand wider by a bit or more, and others read the operand, too. */
function losesForOthers({ user, operand, results, joins }: Edge): boolean {
  if (!joins || readersOf(operand) < 2 || !hasRange(operand.quant)) return false;
  const widest = Math.max(...results.map(({ quant }) => (hasRange(quant) ? quant.max[0]! - quant.min[0]! : 0)));
  // A tensor that the operator alone reads, twice, has no other reader.
  if (operand.users.size === 1 && operand.users.has(user)) return false;
  return widest > WIDER * (operand.quant.max[0]! - operand.quant.min[0]!);
}

function readersOf(node: Node): number {
  return [...node.users].filter((reader) => !reader.float).length;
}

/** Edges to cut where parameters that functions fix do not fit the class: next to the operator that joins, else at the function. */
function disagreeing(one: Class, edges: readonly Edge[], cut: ReadonlySet<Edge>, context: Context): Edge[] {
  const pins = pinsOf(one, context);
  const [first] = pins;
  if (!first) return [];
  const { min, max } = rangeOf(one, context);
  const scale = first.quant.scale[0]!;
  const [low, high] = rangeOfParameters(first.quantizer, scale, Number(first.quant.zeroPoint[0]));
  const agree = pins.every(({ quant }) => sameScaleAndZeroPoint(quant, first.quant));
  // A function's own range is open at its end: 1 is 255/256 and a step.
  if (agree && min >= low - scale && max <= high + scale) return [];
  const open = one.edges.filter((edge) => !cut.has(edge) && !isConstant(edge.operand));
  const pinned = new Set(pins.map(({ node }) => node));
  const joining = open.filter((edge) => edge.joins && pinned.has(sourceOf(edge.operand, edges)));
  return joining.length > 0 ? joining : open.filter(({ operand }) => pinned.has(operand));
}

/** Where a tensor's values come from, through operators that tie one operand only. */
function sourceOf(node: Node, edges: readonly Edge[]): Node {
  const edge = edges.find(({ results, joins }) => !joins && results.includes(node));
  return edge ? sourceOf(edge.operand, edges) : node;
}

interface Pin {
  readonly node: Node;
  readonly quant: QuantParam;
  readonly quantizer: ActivationQuantizer;
}

function pinsOf({ members }: Class, context: Context): Pin[] {
  return members.flatMap((node) => {
    const quant = fixedParameters(node, context);
    return quant ? [{ node, quant, quantizer: schemeOf(context, node).activation }] : [];
  });
}

/** The range of all that a class has to stand for. */
function rangeOf({ members, edges }: Class, { scanner }: Context): { min: number; max: number } {
  const chosen = new Set(edges.filter(isOnlyChosenFrom).map(({ operand }) => operand));
  const ranges = members.flatMap((node) =>
    hasRange(node.quant) && !chosen.has(node) ? [{ min: node.quant.min[0]!, max: node.quant.max[0]! }] : [],
  );
  for (const { user, operand } of edges)
    if (isConstant(operand) && !user.row.elementwise) ranges.push(scanner.range(operand.name, operand.constant));
  return { min: Math.min(...ranges.map(({ min }) => min)), max: Math.max(...ranges.map(({ max }) => max)) };
}

/** Of a maximum what is below its result's range is never seen, and of a minimum what is above, unless others read it. */
function isOnlyChosenFrom({ user, operand }: Edge): boolean {
  return user.row.elementwise !== undefined && operand.users.size === 1 && !isConstant(operand);
}

function giveParameters(one: Class, context: Context): void {
  const { members } = one;
  const { activation } = schemeOf(context, members[0]!);
  const range = rangeOf(one, context);
  const [pin] = pinsOf(one, context);
  const { scale, zeroPoint } = pin
    ? { scale: pin.quant.scale[0]!, zeroPoint: Number(pin.quant.zeroPoint[0]) }
    : parametersOfRange(activation, range.min, range.max);
  const next = perTensor(scale, zeroPoint, { from: "tied", tensors: members.map(({ name }) => name) });
  for (const node of members) {
    if (!node.quant || sameScaleAndZeroPoint(node.quant, next)) continue;
    const { min, max } = node.quant;
    node.quant = quantParam({ ...next, min, max });
  }
}

/** A Quantize between an operand that keeps its parameters and the operator; readers that want the same share it. */
function requantize(graph: Graph, { user, index, operand, results }: Edge, context: Context): void {
  const wanted = results[0]!.quant!;
  if (sameScaleAndZeroPoint(operand.quant!, wanted)) return;
  const { dtype } = schemeOf(context, user).activation;
  const known = [...operand.users].find(
    (reader) =>
      reader.operator === null &&
      reader.row.out.role === "requantized" &&
      reader.dtype === dtype &&
      reader.quant !== null &&
      sameScaleAndZeroPoint(reader.quant, wanted),
  );
  const { min, max } = operand.quant!;
  const quant = quantParam({ ...wanted, min, max, provenance: { from: "tied", tensors: [results[0]!.name] } });
  setInput(user, index, known ?? addQuantize(graph, operand, dtype, quant));
}
