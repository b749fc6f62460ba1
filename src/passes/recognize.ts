/**
 * Which scheme a quantized file has, operator by operator, and which family it belongs to as a whole.
 *
 *     SOFTMAX: UINT8 with scale 1/255   →   uint8 of ONE's scheme
 *     SOFTMAX: UINT8 with scale 1/256, filters of zero point 128   →   uint8 of LiteRT's scheme
 *
 * An operator's dtypes tell its scheme where one family alone has it. Where two have it, all operators of that dtype in the file decide
 * together: the family that fewer of them contradict, that of the file's other dtypes or ONE's if none does. So one wrong scale is a problem, and no other family.
 */
import { activeNodes, type Graph, isConstant, type Node, yieldedBy } from "../graph/graph.ts";
import { isInteger, isRuntimeQuantized } from "../rules/dtypes.ts";
import { operandsWith, roleOf } from "../rules/operators.ts";
import { DEFAULT_SCHEME, type Granularity, type Scheme, schemesWith } from "../rules/schemes.ts";
import type { LayerSetting } from "./context.ts";
import { specialKindOf } from "./special.ts";
import { quantizedTensors } from "./verify.ts";

/** What a file's operators are. */
export interface Recognized {
  /** Settings that the verifier holds operators to, by the name of operator or result. */
  readonly layers: ReadonlyMap<string, LayerSetting>;
  /** How many operators have each scheme, the most frequent first. */
  readonly schemes: readonly {
    readonly scheme: Scheme;
    readonly granularities: readonly Granularity[];
    readonly operators: number;
  }[];
  /** Operators that compute in float with quantized weights, and all other float ones. */
  readonly floatWithWeights: number;
  readonly float: number;
  /** Quantized activations. */
  readonly activations: number;
}

/** Looks at all operators of a file's graphs. */
export function recognize(graphs: readonly Graph[]): Recognized {
  const nodes = graphs.flatMap(activeNodes);
  const operators = nodes.filter(({ kind }) => kind === "operator");
  const quantized = operators.filter((node) => activationIn(node));
  const chosen = new Map<string, Scheme>();
  const byDtype = Map.groupBy(quantized, (node) => activationIn(node)!.dtype);
  // Where nothing speaks against either family, it is the one of dtypes that only one has.
  const sure = new Set(
    [...byDtype.keys()].map(schemesWith).flatMap((found) => (found.length === 1 ? found[0]!.family : [])),
  );
  for (const [dtype, own] of byDtype) {
    const [best] = schemesWith(dtype)
      .map((scheme) => ({ scheme, against: own.filter((node) => contradicts(node, scheme)).length }))
      .sort((a, b) => a.against - b.against || Number(sure.has(b.scheme.family)) - Number(sure.has(a.scheme.family)));
    if (best) chosen.set(dtype, best.scheme);
  }
  const layers = new Map<string, LayerSetting>();
  const counts = new Map<Scheme, { operators: number; granularities: Set<Granularity> }>();
  for (const node of nodes) {
    const operator = node.kind === "result" ? node.inputs[0]! : node;
    if (operator.kind !== "operator") continue;
    const scheme = chosen.get(activationIn(operator)?.dtype ?? "");
    const granularity = granularityIn(operator);
    layers.set(node.name, { scheme: scheme ?? DEFAULT_SCHEME.scheme, granularity: granularity ?? "channel" });
    if (!scheme || node.kind === "result") continue;
    const count = counts.get(scheme) ?? { operators: 0, granularities: new Set() };
    counts.set(scheme, count);
    count.operators++;
    if (granularity) count.granularities.add(granularity);
  }
  const rest = operators.filter((node) => !activationIn(node));
  const floatWithWeights = rest.filter((node) => isFloat(node) && hasIntegerWeights(node)).length;
  return {
    layers,
    schemes: [...counts]
      .sort(([, a], [, b]) => b.operators - a.operators)
      .map(([scheme, { operators, granularities }]) => ({ scheme, operators, granularities: [...granularities] })),
    floatWithWeights,
    float: rest.filter(isFloat).length - floatWithWeights,
    activations: nodes.filter((node) => !isConstant(node) && node.kind !== "output" && isRuntimeQuantized(node)).length,
  };
}

function isFloat(node: Node): boolean {
  return [...yieldedBy(node), ...node.inputs].some((tensor) => tensor?.dtype === "FLOAT32");
}

/** Quantized constants, or weights whose scales lie elsewhere (block-wise). */
function hasIntegerWeights(node: Node): boolean {
  const weights = operandsWith(node.row, node.inputs.length, "weights").map((index) => node.inputs[index]);
  return quantizedTensors(node).length > 0 || weights.some((each) => each && isInteger(each.dtype));
}

/** The activation that tells an operator's dtype: its result, else its first operand that is one. */
function activationIn(operator: Node): Node | undefined {
  const tensors = quantizedTensors(operator).filter((tensor) => !isConstant(tensor));
  return tensors.find((tensor) => tensor === operator || tensor.kind === "result") ?? tensors[0];
}

/** Whether an operator has what the scheme never makes: other weights, or other parameters of its function. */
function contradicts(node: Node, scheme: Scheme): boolean {
  const kind = specialKindOf(node);
  if (kind !== null && kind !== "integer" && node.quant) {
    const { scale, zeroPoint } = scheme.activation.fixed[kind];
    if (node.quant.scale[0] !== scale || node.quant.zeroPoint[0] !== BigInt(zeroPoint)) return true;
  }
  const granularity = granularityIn(node) ?? "channel";
  return parametric(node).some(({ role, tensor: { dtype, quant } }) => {
    if (role !== "weights") return false;
    const { weights, accepts } = scheme;
    if (dtype !== weights[granularity].dtype && !accepts?.weights.includes(dtype)) return true;
    const at = accepts?.symmetricAt;
    return at !== undefined && granularity === "channel" && quant!.zeroPoint.some((each) => each !== BigInt(at));
  });
}

/** How an operator's weights are quantized; undefined where it has none. One scale for one channel may be either: the axis tells. */
function granularityIn(node: Node): Granularity | undefined {
  const all = parametric(node);
  if (all.length === 0) return undefined;
  const isPerTensor = ({ tensor: { quant, shape }, axis }: Parametric) =>
    quant!.scale.length === 1 && ((shape[axis] ?? 1) > 1 || quant!.axis !== axis);
  return all.some(isPerTensor) ? "layer" : "channel";
}

interface Parametric {
  readonly tensor: Node;
  readonly role: "weights" | "unit" | "bias";
  /** Dimension of the channels, if it has some. */
  readonly axis: number;
}

/** Operands with scales that are weights, gammas, biases and the like. */
function parametric(node: Node): Parametric[] {
  const row = node.row;
  return node.inputs.flatMap((tensor, index) => {
    const role = roleOf(row, index);
    if (!tensor?.quant?.scale.length || role.role === "activation" || role.role === "raw") return [];
    return [{ tensor, role: role.role, axis: role.role === "weights" ? role.axis : tensor.shape.length - 1 }];
  });
}
