/**
 * Phase 8: weights of convolutions and the like, and gamma/beta/alpha, get a quantized copy of their own for each user (§3.5).
 *
 *     CONV_2D filter FLOAT32 [O,H,W,I]   →   UINT8, per channel: a scale and a zero point for each O
 *
 * Only decides: ranges are scanned and elements encoded when the file is written, so scales and zero points are vectors
 * of the right length that are filled in then.
 */
import { MinmaxqError } from "../../base/errors.ts";
import { ownConstant } from "../../graph/edit.ts";
import { activeNodes, type Dtype, type Graph, isConstant, type Node } from "../../graph/graph.ts";
import { type QuantParam, quantParam } from "../../graph/quantparam.ts";
import { isQuantized } from "../../rules/dtypes.ts";
import { type OperandRole, roleOf } from "../../rules/operators.ts";
import { type Quantizer, quantizerKey } from "../../rules/schemes.ts";
import { type Constant, encoded } from "../../weights/constant.ts";
import { type Context, granularityOf, schemeOf, shared, warn } from "../context.ts";
import { axisProblem, floatConstant, quantizeByOwnValues, scannedWeights, weightLayout } from "./own-values.ts";

export function quantizeWeights(graph: Graph, context: Context): void {
  for (const { node, index, role } of weightsOf(graph)) {
    const own = ownConstant(graph, node, index);
    if (role.role === "weights") {
      const { constant, quant, dtype } = filterOf(context, own, role, node);
      Object.assign(own, { constant, quant, dtype });
    } else if (granularityOf(context, node) === "layer")
      quantizeByOwnValues(context, own, schemeOf(context, node).activation);
    else quantizeUnits(context, own, schemeOf(context, node).activation);
  }
}

/**
 * What this phase would make of the filters as they are now, for those who want to begin with them. The phase itself finds these very
 * descriptions, unless something changes a filter before.
 */
export function expectedFilters(
  graph: Graph,
  context: Context,
): { name: string; constant: Constant; scales: number }[] {
  return weightsOf(graph).flatMap(({ node, operand, role }) => {
    if (role.role !== "weights" || axisProblem(operand, role)) return [];
    const { constant, quant } = filterOf(context, operand, role, node);
    return [{ name: operand.name, constant, scales: quant.scale.length }];
  });
}

interface WeightsOperand {
  readonly node: Node;
  readonly index: number;
  readonly operand: Node;
  readonly role: OperandRole & { role: "weights" | "unit" };
}

/** Constants in the roles of this phase that are still float. */
function weightsOf(graph: Graph): WeightsOperand[] {
  const found: WeightsOperand[] = [];
  for (const node of activeNodes(graph)) {
    if (node.kind !== "operator" || node.float) continue;
    const row = node.row;
    for (const [index, operand] of node.inputs.entries()) {
      const role = roleOf(row, index);
      if (role.role !== "weights" && role.role !== "unit") continue;
      if (!isConstant(operand) || isQuantized(operand) || operand.dtype !== "FLOAT32") continue;
      found.push({ node, index, operand, role });
    }
  }
  return found;
}

/** A filter's description and parameters as `user` wants it; the same ones for all who want the same. */
function filterOf(
  context: Context,
  weights: Node,
  role: OperandRole & { role: "weights" },
  user: Node,
): { constant: Constant; quant: QuantParam; dtype: Dtype } {
  const granularity = granularityOf(context, user);
  const quantizer = schemeOf(context, user).weights[granularity];
  const values = floatConstant(weights);
  const layout = weightLayout(user, weights, role, granularity);
  const axis = granularity === "layer" ? 0 : role.axis;
  const fake = weights.quant;
  const isFakeQuantized =
    fake !== null &&
    fake.scale.length === layout.channels &&
    (quantizer.symmetric || fake.min.length === layout.channels);
  const key = `weights ${quantizerKey(quantizer)} ${granularity} ${axis}`;
  const made = shared(context, values, key, () => {
    if (isFakeQuantized) {
      // The ranges are those of the fake-quantization before; its parameters stay (QA0, QS0).
      const { min, scale } = fake;
      const constant = encoded(values, { rule: "known", quantizer, layout, min, scale });
      return { constant, quant: quantParam({ ...fake, axis }) };
    }
    return scannedWeights(values, quantizer, layout, axis);
  });
  return { ...made, dtype: quantizer.dtype };
}

/** gamma, beta, alpha per channel: the size of each value becomes its scale, the value itself ±1 (§3.5.3). */
function quantizeUnits(context: Context, unit: Node, { symmetric, dtype, low, bits }: Quantizer): void {
  const { shape } = unit;
  if (shape.length === 0 || shape.slice(0, -1).some((dim) => dim !== 1))
    throw new MinmaxqError(
      `constant "${unit.name}": has shape [${shape}]; per channel all dimensions but the last must be 1. Quantize its layer with granularity "layer"`,
    );
  const values = context.scanner.values(unit.name, floatConstant(unit));
  const scale = new Float32Array(values.length);
  const zeroPoint = new BigInt64Array(values.length);
  // Bytes of negative integers are those of unsigned ones.
  const quantized = bits === 16 ? new Int16Array(values.length) : new Uint8Array(values.length);
  // The first integer; a positive value is the one after it.
  const least = symmetric ? 0 : low;
  values.forEach((value, channel) => {
    const positive = value >= 0;
    // −0.0 counts as ≥ 0 and stores scale −0.0 (§10.14).
    scale[channel] = positive ? value : -value;
    zeroPoint[channel] = BigInt(positive || symmetric ? least : least + 1);
    quantized[channel] = positive ? least + 1 : symmetric ? -1 : least;
  });
  if (scale.includes(0))
    warn(context, unit, "zero-scale", "has channels of value 0; their scale is 0, as in the reference");
  unit.constant = context.scanner.stored(quantized);
  unit.quant = quantParam({ scale, zeroPoint, axis: shape.length - 1, provenance: { from: "unit channels" } });
  unit.dtype = dtype;
}
