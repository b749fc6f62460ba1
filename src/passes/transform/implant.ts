/**
 * Parameters, dtypes and values from outside, put into a float model that becomes a quantized one by that (§8.4, q-implant):
 *
 *     x: FLOAT32 ─▶ [FULLY_CONNECTED] ─▶ y: FLOAT32 ─▶ [RESHAPE] ─▶ z: FLOAT32      x: UINT8, w: INT8 with values, y: UINT8 are given
 *     →  x: UINT8 ─▶ [FULLY_CONNECTED] ─▶ y: UINT8 ─▶ [RESHAPE] ─▶ z: UINT8          z has y's parameters
 */
import { Problems } from "../../base/errors.ts";
import { activeNodes, type Dtype, describe, type Graph, isConstant, type Node, resultsOf } from "../../graph/graph.ts";
import { forwardFrom, type QuantParam } from "../../graph/quantparam.ts";
import { zeroPointLimits } from "../../rules/dtypes.ts";
import type { Constant } from "../../weights/constant.ts";
import { inferDtypes } from "../infer-dtypes.ts";

/** What one tensor gets. */
export interface Implant {
  readonly name: string;
  readonly dtype: Dtype;
  readonly quant: QuantParam;
  /** Integers of a constant, and the shape that they were given in. */
  readonly value?: { readonly constant: Constant; readonly shape: readonly number[] };
}

/**
 * Changes the graph in place. Throws one MinmaxqError for all that does not fit: names that are not there, tensors that are no floats,
 * parameters or values that a tensor cannot have; then for all float tensors that are left.
 */
export function implant(graph: Graph, implants: readonly Implant[]): void {
  const problems = new Problems();
  const nodes = activeNodes(graph).filter(({ kind }) => kind !== "output");
  for (const each of implants) {
    const found = nodes.filter((node) => node.name === each.name);
    const tensors = found.filter((node) => resultsOf(node).length === 0);
    if (tensors.length === 0)
      problems.add(`"${each.name}": no tensor is called so; see the names with 'minmaxq inspect'`);
    if (tensors.length > 1) problems.add(`"${each.name}": ${tensors.length} tensors are called so; rename them first`);
    for (const node of tensors.slice(0, 1)) {
      const wrong = problemsOf(node, each);
      for (const problem of wrong) problems.add(`"${each.name}": ${problem}`);
      if (wrong.length === 0) put(node, each);
    }
  }
  problems.throwIfAny("parameters that do not fit the model");
  forward(nodes);
  declare(graph);
  // First: what is float would take a dtype, and no parameters, from its operands.
  refuseFloats(graph);
  refuseOtherDtypes(graph, implants);
}

function problemsOf(node: Node, { dtype, quant, value }: Implant): string[] {
  const { scale, zeroPoint, axis } = quant;
  const found: string[] = [];
  if (node.dtype !== "FLOAT32") found.push(`is ${node.dtype}, and only float32 tensors take new parameters`);
  if (scale.length === 0 || scale.length !== zeroPoint.length)
    found.push(`has ${scale.length} scales and ${zeroPoint.length} zero points; give as many of each, one at least`);
  else if (scale.length > 1 && node.shape[axis] !== scale.length)
    found.push(
      `has ${scale.length} scales, but ${node.shape[axis] ?? "no"} elements along dimension ${axis} of [${node.shape.join(", ")}]`,
    );
  if (!scale.every((each) => Number.isFinite(each) && each >= 0)) found.push("has a scale that is no number from 0");
  const limits = zeroPointLimits(dtype);
  if (limits && !zeroPoint.every((each) => each >= BigInt(limits[0]) && each <= BigInt(limits[1])))
    found.push(`has a zero point that is no ${dtype}; give some from ${limits[0]} to ${limits[1]}`);
  if (isConstant(node) && !value) found.push("is a constant, so it needs a 'value' of its new dtype");
  if (!isConstant(node) && value) found.push("is no constant, so it can have no 'value'");
  if (value && value.shape.join() !== node.shape.join())
    found.push(`its value has shape [${value.shape.join(", ")}], the tensor [${node.shape.join(", ")}]`);
  return found;
}

function put(node: Node, { dtype, quant, value }: Implant): void {
  node.quant = fitting(quant, node);
  node.dtype = dtype;
  if (value) node.constant = value.constant;
}

/** The dimension of a single scale says nothing and is kept, but where the tensor has none of that number: LiteRT does not load such a file. */
function fitting(quant: QuantParam, { shape }: Node): QuantParam {
  return quant.scale.length === 1 && quant.axis >= shape.length ? { ...quant, axis: 0 } : quant;
}

/**
 * What only moves the values of one operand has that operand's parameters, unless it was given its own: operands first, until nothing
 * changes, so the order of the nodes cannot show.
 */
function forward(nodes: readonly Node[]): void {
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of nodes) {
      const operator = node.kind === "result" ? node.inputs[0]! : node;
      const { passes } = operator.row;
      if (operator.kind !== "operator" || isQuantizedNow(node) || node.dtype !== "FLOAT32") continue;
      // The operator of several results is none of its tensors.
      if (!Array.isArray(passes) || passes.length !== 1 || resultsOf(node).length > 0) continue;
      const source = operator.inputs[passes[0]!];
      if (!source || !isQuantizedNow(source) || source.quant!.scale.length !== 1) continue;
      const provenance = forwardFrom({ name: source.name, op: operator.op });
      node.quant = fitting({ ...source.quant!, provenance }, node);
      node.dtype = source.dtype;
      changed = true;
    }
  }
}

const isQuantizedNow = ({ quant }: Node): boolean => quant !== null && quant.scale.length > 0;

/** Inputs and outputs declare what they are now; operators of several results follow these. */
function declare(graph: Graph): void {
  for (const node of activeNodes(graph)) {
    const [first] = resultsOf(node).sort((a, b) => a.resultIndex - b.resultIndex);
    if (first) node.dtype = first.dtype;
  }
  graph.inputs.forEach((input, i) => {
    graph.inputDtypes[i] = input.dtype;
  });
  graph.outputs.forEach((output, i) => {
    const producer = output.inputs[0]!;
    output.dtype = producer.dtype;
    output.quant = producer.quant;
    graph.outputDtypes[i] = producer.dtype;
  });
}

/** A dtype that its operator cannot yield from the operands as they are now would make another tensor of it when the model is read. */
function refuseOtherDtypes(graph: Graph, implants: readonly Implant[]): void {
  inferDtypes(graph, [graph]);
  const problems = new Problems();
  const given = new Map(implants.map(({ name, dtype }) => [name, dtype]));
  for (const node of activeNodes(graph)) {
    const wanted = given.get(node.name);
    if (wanted !== undefined && node.dtype !== wanted)
      problems.add(
        `${describe(node)}: is given as ${wanted}, but is ${node.dtype} by its operands; give them one dtype, or put a QUANTIZE between`,
      );
  }
  problems.throwIfAny("dtypes that do not fit each other");
}

function refuseFloats(graph: Graph): void {
  const problems = new Problems();
  for (const node of activeNodes(graph)) {
    if (node.kind !== "output" && node.dtype === "FLOAT32" && resultsOf(node).length === 0)
      problems.add(`${describe(node)}: is still float32; give it parameters, too`);
  }
  problems.throwIfAny("tensors without parameters");
}
