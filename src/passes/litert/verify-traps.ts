/**
 * What LiteRT refuses without a clear word, or computes wrongly without any: one function a rule. The verifier asks them of operators of
 * LiteRT's schemes, and in .tflite files of those that compute in float with integer weights.
 *
 *     MAXIMUM(a: scale 0.1, b: scale 0.2)   →   compares raw integers
 *     CONV_2D, int16, bias INT32, no quantized_bias_type   →   reads the bias as half as many INT64
 *
 * A trap is a problem where the result would be wrong or the model dead, and a warning where it is risky.
 */

import { factsOf } from "../../graph/facts.ts";
import { isConstant, type Node, yieldedBy } from "../../graph/graph.ts";
import { fusedActivation, option } from "../../graph/options.ts";
import type { Tensor } from "../../model/index.ts";
import type { Dtype } from "../../model/tensor-types.ts";
import { isRuntimeQuantized } from "../../rules/dtypes.ts";
import { kindFacts } from "../../rules/kind-facts.ts";
import { litertKernel } from "../../rules/litert-kernels.ts";
import type { OperatorRow } from "../../rules/operator-row.ts";
import { operandsWith } from "../../rules/operators.ts";
import { SAFE_OPTIONS } from "../../rules/safe-options.ts";
import { highestVersion } from "../../rules/versions.ts";
import { type Context, schemeOf, warn } from "../context.ts";
import { versionOf } from "./operator-versions.ts";
import { blockTraps } from "./verify-blocks.ts";
import { AGAIN, type Case, KEEP_FLOAT, storedIntegers } from "./verify-case.ts";

/** Problems of one operator, without its name; warnings go to the context's notes. `row` is that of LiteRT's rules. */
export function trapsOf(node: Node, row: OperatorRow, context: Context, tables: readonly Tensor[] = []): string[] {
  const results = yieldedBy(node);
  const at = (role: "weights" | "bias") => {
    const [index] = operandsWith(row, node.inputs.length, role);
    return index === undefined ? null : (node.inputs[index] ?? null);
  };
  const one: Case = {
    node,
    row,
    rule: row.families?.litert ?? {},
    kernel: litertKernel(node.op),
    results,
    dtype: activationDtype(node, results),
    weights: at("weights"),
    bias: at("bias"),
    context,
    tables,
  };
  return RULES.flatMap((rule) => rule(one) ?? []);
}

/** A rule gives what is wrong and what to do, or nothing. */
type Rule = (one: Case) => string | null;

const RULES: readonly Rule[] = [
  unsoundScale,
  wrongCount,
  hybridZeroPoint,
  shiftedInt16,
  noKernel,
  noWeightKernel,
  hybridPerTensor,
  absentBias,
  narrowBias,
  biasScale,
  dangerousOption,
  sumTooFine,
  fusedInVain,
  outsideDomain,
  conversion,
  laterVersion,
  blockTraps,
  oddRows,
  fullAccumulator,
];

function activationDtype(node: Node, results: readonly Node[]): Dtype {
  const own = [...results, ...node.inputs].find(
    (tensor) => tensor && !isConstant(tensor) && isRuntimeQuantized(tensor),
  );
  return own?.dtype ?? "FLOAT32";
}

function tensorsOf({ node, results }: Case): Node[] {
  return [...node.inputs.filter((tensor) => tensor !== null), ...results];
}

const isHybrid = ({ dtype, weights, results }: Case): boolean =>
  dtype === "FLOAT32" && isConstant(weights) && weights.dtype !== "FLOAT32" && results[0]?.dtype === "FLOAT32";

/** The least normal float32: what lies below loses its precision, and delegates refuse it. */
const LEAST_NORMAL = 2 ** -126;

/** Rule 1. With LiteRT's default delegate one such scale keeps the whole model from loading. */
function unsoundScale(one: Case): string | null {
  for (const tensor of tensorsOf(one)) {
    if (tensor.dtype === "FLOAT32") continue;
    const odd = tensor.quant?.scale.find((scale) => !(scale >= LEAST_NORMAL && scale < Number.POSITIVE_INFINITY));
    if (odd !== undefined)
      return `"${tensor.name}" has the scale ${odd}, and with one that is no normal number above 0 LiteRT does not load the model; ${AGAIN}`;
  }
  return null;
}

/** Rule 2, where no other check looks: operators without roles, and those that compute in float. */
function wrongCount(one: Case): string | null {
  if (one.row.verify && one.dtype !== "FLOAT32") return null;
  for (const tensor of tensorsOf(one)) {
    const { scale, zeroPoint } = scalesAsRead(tensor);
    if (scale === 0) continue;
    if (scale !== zeroPoint)
      return `"${tensor.name}" has ${scale} scales and ${zeroPoint} zero points, and LiteRT needs as many of both; ${AGAIN}`;
    const { shape, quant } = tensor;
    // A vector has one axis, whatever a converter wrote.
    if (scale > 1 && scale !== shape[shape.length === 1 ? 0 : quant!.axis])
      return `"${tensor.name}" has ${scale} scales along axis ${quant!.axis} of [${shape.join(", ")}]; ${AGAIN}`;
  }
  return null;
}

/** Also what no parameters were made of, because half of them are absent. */
function scalesAsRead({ quant, quantAsRead, tensor }: Node): { scale: number; zeroPoint: number } {
  const { scale, zeroPoint } = quant ?? (quantAsRead === null ? tensor?.quantization : undefined) ?? {};
  return { scale: scale?.length ?? 0, zeroPoint: zeroPoint?.length ?? 0 };
}

/** Rule 3. Kernels that round activations take weights for symmetric. */
function hybridZeroPoint(one: Case): string | null {
  const { weights } = one;
  if (!isHybrid(one) || !weights?.quant || weights.dtype === "UINT8") return null;
  const odd = weights.quant.zeroPoint.find((zeroPoint) => zeroPoint !== 0n);
  return odd === undefined
    ? null
    : `its weights "${weights.name}" have the zero point ${odd}, which LiteRT leaves out beside float activations; ${AGAIN}`;
}

/** Rule 4. Results whose parameters are fixed have a check that says which. */
function shiftedInt16(one: Case): string | null {
  const isFixed = one.row.out.role === "special" || one.rule.fixed !== undefined;
  const odd = (isFixed ? one.node.inputs.filter((tensor) => tensor !== null) : tensorsOf(one)).find(
    ({ dtype, quant }) => dtype === "INT16" && quant?.zeroPoint.some((each) => each !== 0n),
  );
  return odd
    ? `"${odd.name}" is INT16 with the zero point ${odd.quant!.zeroPoint.find((each) => each !== 0n)}, and LiteRT's kernels take 0 only; ${AGAIN}`
    : null;
}

/** Rules 12 and 18. */
function noKernel({ node, rule, kernel, dtype }: Case): string | null {
  if (dtype === "FLOAT32") return null;
  // The old uint8 kernels are no column of the table.
  const lacks = rule.dtypes && dtype !== "UINT8" && ![...rule.dtypes, ...(rule.unsound ?? [])].includes(dtype);
  if (!kernel.plain && !lacks) return null;
  const why = kernel.plain ? "takes quantized values for plain integers" : `has no ${dtype} kernel`;
  return `LiteRT's ${node.op} ${why} ("${node.name}"); ${KEEP_FLOAT}`;
}

/** Rule 14. Packed weights that a kernel takes for bytes are wrong without a word. */
function noWeightKernel(one: Case): string | null {
  const { kernel, weights, dtype, node, context } = one;
  const taken = kernel.weights?.[dtype];
  if (!weights || !taken || taken.includes(weights.dtype)) return null;
  // What the scheme does not have another check tells.
  const comes = dtype === "FLOAT32" ? isHybrid(one) : schemeOf(context, node).accepts?.weights.includes(weights.dtype);
  if (!comes) return null;
  return `LiteRT's ${node.op} does not take ${weights.dtype} weights ("${weights.name}") with ${dtype} activations; use ${taken[0]!.toLowerCase()} weights, or ${KEEP_FLOAT}`;
}

/** Rule 15. */
function hybridPerTensor(one: Case): string | null {
  const { kernel, weights, row } = one;
  const role = row.in.find((each) => each.role === "weights");
  if (!kernel.hybridPerChannel || !isHybrid(one) || !weights?.quant || role?.role !== "weights") return null;
  const channels = weights.shape[role.axis];
  return weights.quant.scale.length === channels
    ? null
    : `its weights "${weights.name}" have ${weights.quant.scale.length} scales, and beside float activations LiteRT needs one for each of the ${channels} channels; quantize them per channel`;
}

/** Rule 7, first part. */
function absentBias({ node, dtype, bias }: Case): string | null {
  if (dtype === "FLOAT32" || bias || kindFacts(node.op).hybrid?.bias !== "needed") return null;
  return `has no bias, and LiteRT does not prepare "${node.name}" without one; add a bias of zeros (prepare step zero-bias)`;
}

/** Rule 7, second part; what is right in one of LiteRT's kernels only is a warning. */
function narrowBias(one: Case): string | null {
  const { kernel, dtype, bias, node, context } = one;
  if (dtype !== "INT16" || bias?.dtype !== "INT32" || !kernel.bias32) return null;
  const said = option(node, "quantizedBiasType") ?? 0;
  if (said !== 0 && kernel.bias32 !== "never") return null;
  const text = `its bias "${bias.name}" is INT32, which LiteRT reads as INT64 here`;
  const remedy = `make it INT64: ${AGAIN}`;
  if (kernel.bias32 !== "risky") return `${text}; ${remedy}`;
  warn(context, node, "narrow-bias", `${text} in its reference kernels; ${remedy}`);
  return null;
}

/** Rule 8: what the other check's absolute tolerance lets through. A single scale may be off, and then the bias is off as much. */
function biasScale({ node, dtype, bias, weights, row, context }: Case): string | null {
  const [index] = operandsWith(row, node.inputs.length, "activation");
  const input = index === undefined ? undefined : node.inputs[index]?.quant?.scale;
  const own = bias?.quant?.scale;
  const of = weights?.quant?.scale;
  if (dtype === "FLOAT32" || !own || input?.length !== 1 || of?.length !== own.length) return null;
  const off = (scale: number, i: number) => Math.abs(scale - input[0]! * of[i]!) / (input[0]! * of[i]!);
  const at = own.findIndex((scale, i) => off(scale, i) > 1e-6);
  if (at < 0 || own.some((scale, i) => own.length > 1 && Math.abs(scale - input[0]! * of[i]!) >= 2 ** -23)) return null;
  const text = `scale ${at} of its bias "${bias!.name}" is ${own[at]}, but LiteRT uses input scale × weight scale, ${Math.fround(input[0]! * of[at]!)}`;
  if (own.length > 1) return `${text}; ${AGAIN}`;
  warn(
    context,
    node,
    "bias-scale",
    `${text}: the bias is off by ${(off(own[0]!, 0) * 100).toPrecision(2)} %; ${AGAIN}`,
  );
  return null;
}

/** Rules 7 and 9: fields whose value is not what the operator's tensors need. */
function dangerousOption({ node, results, context }: Case): string | null {
  const safe = SAFE_OPTIONS[node.op];
  if (!safe?.when(factsOf(node)) || option(node, safe.name) === safe.value) return null;
  const field = safe.name.replace(/[A-Z]|\d+/g, (each) => (/\d/.test(each) ? each : `_${each.toLowerCase()}`));
  if (safe.value === undefined) return `its ${field} says INT32, but its bias is INT64; leave the field at its default`;
  const scales = [...node.inputs, ...results].map((tensor) => tensor?.quant?.scale[0] ?? 0);
  const text = `its ${field} is true`;
  if (scales.every(isPowerOfTwo))
    return `${text} and the scales of "${node.name}" and its operands are powers of two, for which LiteRT has a kernel with other limits; set the field to false: ${AGAIN}`;
  warn(context, node, "power-of-two", `${text}, which holds only while no scale is a power of two; ${AGAIN}`);
  return null;
}

function isPowerOfTwo(scale: number): boolean {
  const log = Math.log2(scale);
  return scale > 0 && Math.abs(log - Math.round(log)) < 1e-3;
}

/** Rule 9: bits that a sum's kernel shifts its operands by before it adds them. */
const SUM_SHIFT: Readonly<Partial<Record<Dtype, number>>> = { INT8: 20, UINT8: 20, INT16: 15 };

function sumTooFine({ node, row, dtype }: Case): string | null {
  const shift = SUM_SHIFT[dtype];
  const [a, b, out] = [...node.inputs, node].map((tensor) => tensor?.quant?.scale[0]);
  if (row.arithmetic !== "add" || !shift || a === undefined || b === undefined || out === undefined) return null;
  const least = (2 * Math.max(a, b)) / 2 ** shift;
  return out > least
    ? null
    : `the scale ${out} of "${node.name}" is too small beside those of its operands (it has to be above ${least}), so LiteRT does not prepare it; ${AGAIN}`;
}

/** Functions that integer kernels compute by clamping. */
const CLAMPS = ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"];

/** Rule 10. */
function fusedInVain({ node, rule, dtype }: Case): string | null {
  if (dtype === "FLOAT32" || !rule.dtypes) return null;
  const fused = fusedActivation(node);
  if (rule.fused === "none" ? fused === "NONE" : CLAMPS.includes(fused)) return null;
  return `carries ${fused}, which LiteRT's integer kernel of "${node.name}" does not compute; make it an operator of its own`;
}

const LOWEST: Readonly<Partial<Record<Dtype, bigint>>> = { INT8: -128n, UINT8: 0n };

/** Rule 11. Symmetric INT16 has codes below 0 whatever its values are, so there it cannot be told. */
function outsideDomain({ node, rule, context }: Case): string | null {
  const operand = rule.domain && node.inputs[rule.domain.operand];
  const zeroPoint = operand?.quant?.zeroPoint[0];
  if (!operand || zeroPoint === undefined || !isRuntimeQuantized(operand)) return null;
  if (rule.domain.not === "negative") {
    const lowest = LOWEST[operand.dtype];
    if (lowest === undefined || zeroPoint <= lowest) return null;
    return `its operand "${operand.name}" has the zero point ${zeroPoint}, so integers stand for numbers below 0, with which LiteRT ends the run; give it a range from 0 on (zero point ${lowest}), or ${KEEP_FLOAT}`;
  }
  const values = isConstant(operand) ? storedIntegers(operand, context) : null;
  const ends = "with which LiteRT ends the run";
  if (values?.includes(Number(zeroPoint)))
    return `its operand "${operand.name}" has the integer ${zeroPoint}, which stands for 0, ${ends}; ${KEEP_FLOAT}`;
  if (!isConstant(operand))
    warn(context, node, "divisor", `integers of its operand "${operand.name}" can stand for 0, ${ends}; ${KEEP_FLOAT}`);
  return null;
}

/** Rule 16. */
function conversion({ node, kernel, results }: Case): string | null {
  const [from] = node.inputs;
  const to = results[0];
  // float16 constants are float32 here, and what turned them so is left over.
  if (!kernel.converts || !from || !to || from.dtype === to.dtype) return null;
  if (kernel.converts[from.dtype]?.includes(to.dtype)) return null;
  const steps = from.dtype === "INT16" && to.dtype === "UINT8" ? "; go by way of INT8" : `; ${KEEP_FLOAT}`;
  return `LiteRT's ${node.op} does not make ${to.dtype} ("${to.name}") of ${from.dtype} ("${from.name}")${steps}`;
}

/** Rule 17, first part. */
function laterVersion({ node }: Case): string | null {
  const highest = highestVersion(node.op);
  const needed = versionOf(node);
  return highest === undefined || needed <= highest
    ? null
    : `is version ${needed} of ${node.op}, and LiteRT has up to ${highest}, so it does not load "${node.name}"; ${KEEP_FLOAT}`;
}

/** Rule 14, last part. */
function oddRows({ node, kernel, weights, context }: Case): string | null {
  if (!kernel.evenRows || weights?.dtype !== "INT4" || weights.shape.at(-1)! % 2 === 0) return null;
  const text = `rows of its weights "${weights.name}" have ${weights.shape.at(-1)} values: half a byte is left, and LiteRT's delegate leaves the operator to slower kernels; use int8 weights for it`;
  warn(context, node, "odd-rows", text);
  return null;
}

/** Rule 19. With INT64 biases sums are of 64 bits. */
function fullAccumulator({ node, kernel, dtype, weights, bias, context }: Case): string | null {
  if (dtype !== "INT16" || !kernel.evenRows || weights?.dtype !== "INT8" || (bias && bias.dtype !== "INT32"))
    return null;
  const values = isConstant(weights) ? storedIntegers(weights, context) : null;
  if (!values) return null;
  const added = bias && isConstant(bias) ? storedIntegers(bias, context) : null;
  const columns = weights.shape.at(-1)!;
  let most = 0;
  for (let row = 0; row * columns < values.length; row++) {
    let sum = 0;
    for (let i = 0; i < columns; i++) sum += Math.abs(values[row * columns + i]!);
    most = Math.max(most, sum * 32767 + Math.abs(added?.[row] ?? 0));
  }
  if (most >= 2 ** 31)
    warn(
      context,
      node,
      "accumulator",
      `sums of its weights "${weights.name}" may reach ${most}, more than the 32 bits that LiteRT adds them in; give it an INT64 bias: ${AGAIN}`,
    );
  return null;
}
