/** What a target takes of an operator: one function a rule, the first that is broken is told. All read its row in src/rules/targets.ts. */
import { counted } from "../../base/text.ts";
import { type Dtype, isConstant, type Node, yieldedBy } from "../../graph/graph.ts";
import { fusedActivation } from "../../graph/options.ts";
import { type QuantParam, sameScaleAndZeroPoint } from "../../graph/quantparam.ts";
import { operandsWith, tiedIn } from "../../rules/operators.ts";
import { type Consequence, type Target, targetRow } from "../../rules/targets.ts";
import type { ConstantScanner } from "../../weights/scan.ts";
import {
  activationsOf,
  type Case,
  isNumber,
  isQuantizedNode,
  nameOf,
  type Problem,
  refused,
  weightsOf,
} from "./case.ts";
import { brokenLimit } from "./limits.ts";
import { parameterProblem } from "./parameter-rules.ts";

/**
 * The first rule that an operator of a graph breaks; null where its target takes it. What an NPU does not take its host runs, if it breaks no
 * rule of that; what it takes needs no kernel there.
 */
export function problemOf(node: Node, target: Target, scanner: ConstantScanner): Problem | null {
  if (!target.host) return brokenRule(node, target, scanner);
  const problem = brokenRule(node, target.host, scanner);
  const why = brokenRule(node, target, scanner);
  const { keepFloat, neverFloat } = targetRow(target, node.op);
  if (neverFloat && !isQuantizedNode(node))
    return {
      ...refused("that is float", `${neverFloat}; quantize it with ${target.scheme}, or ${IN_THE_MODEL}`),
      missing: true,
    };
  if (keepFloat && isQuantizedNode(node))
    return refused(
      "that is quantized",
      `${keepFloat}; keep it float (--layer '${node.name}=float32', or quantize the float model with --target ${target.name})`,
    );
  if (problem && (why || !problem.missing)) return problem;
  // There is nothing to mend: what follows the reason is a remedy.
  return why && { ...why, consequence: "on the CPU", text: why.text.split("; ")[0]! };
}

function brokenRule(node: Node, target: Target, scanner: ConstantScanner): Problem | null {
  const row = targetRow(target, node.op, node.customCode);
  const one: Case = { node, row, results: yieldedBy(node), target, scanner };
  for (const rule of RULES) {
    const problem = rule(one);
    if (problem) return problem;
  }
  return null;
}

const RULES: readonly ((one: Case) => Problem | null)[] = [
  noKernel,
  noKernelForDtype,
  noConversion,
  otherOperandCount,
  integers,
  otherRank,
  valuesNotTaken,
  operandsThatVary,
  unfitShapes,
  laterVersion,
  otherActivation,
  floatWithQuantizedWeights,
  otherWeights,
  otherGranularity,
  otherBias,
  untied,
  parameterProblem,
  beyondLimit,
  alwaysWrong,
];

function noKernel({ node, row, target }: Case): Problem | null {
  if (row.dtypes.length > 0) return null;
  if (node.op === "CUSTOM" && target.leavesPlain && !target.host)
    return refused(
      "which is custom",
      `${target.runtime} has no ${nameOf(node)} of its own; where yours has, say --custom-operators ${node.customCode}`,
    );
  const text = `${target.runtime} has no kernel for ${nameOf(node)}; ${IN_THE_MODEL}`;
  return { ...refused("without a kernel", text), missing: true };
}

function noKernelForDtype({ node, row, results, target }: Case): Problem | null {
  const judged = (tensor: Node) => isNumber(tensor) && !(target.leavesPlain && isPlain(tensor));
  const operand = activationsOf(node).find((tensor) => judged(tensor) && !row.dtypes.includes(tensor.dtype));
  const result = results.find((tensor) => judged(tensor) && !(row.results ?? row.dtypes).includes(tensor.dtype));
  const odd = operand ?? result;
  if (!odd) return null;
  const dtype = odd.dtype.toLowerCase();
  if (row.ignoresScales)
    return {
      consequence: "wrong",
      kind: `with ${dtype}`,
      text: `${target.runtime} computes with the integers of "${odd.name}" and not with what they stand for; ${remedyFor(odd.dtype, target)}`,
    };
  return {
    consequence: "refused",
    missing: true,
    kind: `with ${dtype}`,
    text: `${target.runtime} does not compute it with ${dtype} ("${odd.name}"); ${remedyFor(odd.dtype, target)}`,
  };
}

/** A tensor of integers that stand for themselves, or of another float type: targets may have kernels for those, of which rows say nothing. */
function isPlain({ dtype, quant }: Node): boolean {
  return dtype !== "FLOAT32" && !quant?.scale.length;
}

function noConversion({ node, row, results, target }: Case): Problem | null {
  const [from] = node.inputs;
  const [to] = results;
  const taken = from && row.conversions?.[from.dtype];
  if (!from || !to || !taken || taken.includes(to.dtype)) return null;
  const names = [from.dtype, to.dtype].map((dtype) => dtype.toLowerCase());
  return refused(
    `from ${names[0]} to ${names[1]}`,
    `${target.runtime} has no way from ${names[0]} to ${names[1]} here; quantize the float model with --target ${target.name}`,
  );
}

function remedyFor(dtype: Dtype, { name, activations, scheme, foldsFloat16 }: Target): string {
  if (foldsFloat16 && (dtype === "FLOAT16" || dtype === "BFLOAT16"))
    return `'minmaxq convert --target ${name}' makes float32 constants of it`;
  if (!activations.includes(dtype)) return `quantize the float model to ${scheme} with --target ${name}`;
  return `quantize the float model with --target ${name}, which keeps it float`;
}

function otherOperandCount({ node, row, target }: Case): Problem | null {
  const { least = 0, most = node.inputs.length } = row.operands ?? {};
  const count = node.inputs.filter(Boolean).length;
  if (row.places !== undefined && node.inputs.length !== row.places)
    return refused(
      `with ${counted(node.inputs.length, "operand")}`,
      `${target.runtime} wants ${row.places} operands, absent ones included, and it has ${node.inputs.length}; ${IN_THE_MODEL}`,
    );
  const absent = count < node.inputs.length && !row.absentOperands;
  if (absent && count >= least)
    return refused("with an absent operand", `${target.runtime} does not take absent operands here; ${IN_THE_MODEL}`);
  if (row.operandsQuantized && isQuantizedNode(node) && count < row.operandsQuantized)
    return refused(
      `with fewer than ${row.operandsQuantized} operands`,
      `${target.runtime} wants ${row.operandsQuantized} operands of a quantized ${node.op} and it has ${count}; quantize the float model with --target ${target.name}`,
    );
  if (count < least)
    return refused(
      `with fewer than ${least} operands`,
      `${target.runtime} wants ${least} operands and it has ${count}; 'minmaxq convert --target ${target.name}' adds it`,
    );
  if (count <= most) return null;
  return refused(
    `with more than ${counted(most, "operand")}`,
    `${target.runtime} takes ${counted(most, "operand")} and it has ${count}; ${IN_THE_MODEL}`,
  );
}

function integers({ node, row, target }: Case): Problem | null {
  const odd = row.noIntegers && activationsOf(node).find(({ dtype }) => dtype === "INT32" || dtype === "INT64");
  if (!odd) return null;
  const dtype = odd.dtype.toLowerCase();
  return refused(
    `with ${dtype}`,
    `${target.runtime} does not compute it with ${dtype} ("${odd.name}"); ${IN_THE_MODEL}`,
  );
}

function otherRank({ node, row, target }: Case): Problem | null {
  const rank = node.inputs[0]?.shape.length;
  const { least = 0, most = Number.POSITIVE_INFINITY } = row.rank ?? {};
  if (rank === undefined || (rank >= least && rank <= most)) return null;
  const limit = rank < least ? `from ${least}` : `up to ${most}`;
  return refused(
    `with ${counted(rank, "dimension")}`,
    `${target.runtime} computes it with ${limit} dimensions, and "${node.inputs[0]!.name}" has ${rank}; ${IN_THE_MODEL}`,
  );
}

function valuesNotTaken({ node, row, target, scanner }: Case): Problem | null {
  if (!row.values) return null;
  const operand = node.inputs[row.values.operand];
  if (!isConstant(operand) || operand.dtype !== "INT32" || operand.constant.length === 0) return null;
  const values = new Int32Array(scanner.bytes(operand.constant).buffer);
  const odd = values.find((value) => (row.values!.not === "zero" ? value === 0 : value < 0));
  if (odd === undefined) return null;
  return refused(
    `with ${odd} in operand ${row.values.operand}`,
    `"${operand.name}" has ${odd}, which ${target.runtime} does not take; write the number that is meant`,
  );
}

function operandsThatVary({ node, row, target }: Case): Problem | null {
  const odd = row.constants && node.inputs.slice(1).find((operand) => operand && !isConstant(operand));
  if (!odd) return null;
  return refused(
    "whose states or weights are no constants",
    `${target.runtime} crashes where its operand "${odd.name}" is no constant; ${IN_THE_MODEL}`,
  );
}

function unfitShapes({ node, row, target }: Case): Problem | null {
  if (!row.broadcasts) return null;
  const shapes = node.inputs.flatMap((operand) => (operand ? [operand.shape] : []));
  const rank = Math.max(...shapes.map(({ length }) => length));
  for (let at = 1; at <= rank; at++) {
    const dims = new Set(shapes.map((shape) => shape[shape.length - at] ?? 1).filter((dim) => dim !== 1));
    if (dims.size > 1)
      return refused(
        "whose shapes do not broadcast",
        `${target.runtime} wants shapes that broadcast as numpy's do, and these are ${shapes.map((shape) => `[${shape}]`).join(", ")}; ${IN_THE_MODEL}`,
      );
  }
  return null;
}

function laterVersion({ node, row, target }: Case): Problem | null {
  const { version } = row;
  if (version === undefined || node.version <= version) return null;
  return {
    consequence: "refused",
    kind: `of a version above ${version}`,
    text: `is version ${node.version}, and ${target.runtime} knows up to ${version}; write the version that it needs ('minmaxq quantize' does), or use a later runtime`,
  };
}

function floatWithQuantizedWeights({ node, row, target }: Case): Problem | null {
  const weights = weightsOf(node);
  if (!weights?.quant || node.dtype !== "FLOAT32" || weights.dtype === "FLOAT32") return null;
  const { weightsAlone } = row;
  const dtype = weights.dtype.toLowerCase();
  if (!weightsAlone?.dtypes.includes(weights.dtype))
    return {
      consequence: "refused",
      kind: `with ${dtype} weights alone`,
      text: `${target.runtime} does not take ${dtype} weights ("${weights.name}") for float activations; keep them float, or quantize activations, too`,
    };
  return granularityProblem(node, weights, weightsAlone.granularity, "refused", target);
}

/** A quantized operator whose integer kernel does not compute the activation that it carries. */
function otherActivation({ node, row, target }: Case): Problem | null {
  const fused = fusedActivation(node);
  if (!row.fused || row.fused.includes(fused) || !isQuantizedNode(node)) return null;
  return refused(
    `with a fused ${fused}`,
    `${target.runtime} does not take the ${fused} that it carries; make it an operator of its own`,
  );
}

function otherWeights({ node, row, target }: Case): Problem | null {
  const weights = weightsOf(node);
  const input = activationsOf(node)[0];
  if (!weights || !input?.quant || input.dtype === "FLOAT32") return null;
  const dtype = weights.dtype.toLowerCase();
  const taken = row.weightDtypes?.[input.dtype];
  if (taken && !taken.includes(weights.dtype))
    return refused(
      `with ${dtype} weights`,
      `${target.runtime} takes ${taken.map((each) => each.toLowerCase()).join(" or ") || "no"} weights with ${input.dtype.toLowerCase()} activations, and "${weights.name}" is ${dtype}; ${remedyFor(weights.dtype, { ...target, activations: [] })}`,
    );
  const zeroPoint = weights.quant?.zeroPoint.find((value) => Number(value) !== 0);
  if (zeroPoint === undefined || !row.symmetricWeights?.includes(input.dtype)) return null;
  return refused(
    "with asymmetric weights",
    `${target.runtime} takes weights with zero point 0, and "${weights.name}" has ${zeroPoint}; quantize the float model with --target ${target.name}`,
  );
}

function otherGranularity({ node, row, target }: Case): Problem | null {
  const weights = weightsOf(node);
  const input = activationsOf(node)[0];
  if (!weights?.quant || !input || input.dtype === "FLOAT32") return null;
  const one = row.perTensorWith?.includes(input.dtype) || row.perTensorWeights?.includes(weights.dtype);
  return granularityProblem(node, weights, one ? "per tensor" : (row.weights ?? "any"), "refused", target);
}

function otherBias({ node, row, target }: Case): Problem | null {
  const [index] = operandsWith(node.row, node.inputs.length, "bias");
  const bias = index === undefined ? null : node.inputs[index];
  const input = activationsOf(node)[0];
  const taken = input?.quant && row.biasDtypes?.[input.dtype];
  if (!bias || !taken || taken.includes(bias.dtype)) return null;
  const dtype = bias.dtype.toLowerCase();
  return refused(
    `with a ${dtype} bias`,
    `${target.runtime} takes a bias of ${taken.map((each) => each.toLowerCase()).join(" or ")} with ${input.dtype.toLowerCase()} activations, and "${bias.name}" is ${dtype}; quantize the float model with --target ${target.name}`,
  );
}

function granularityProblem(
  node: Node,
  { quant, name, shape }: Node,
  wanted: string,
  consequence: Consequence,
  target: Target,
): Problem | null {
  const scales = quant?.scale.length ?? 1;
  const role = node.row.in.find((each) => each.role === "weights");
  const perChannel = scales > 1;
  // With one channel it is both.
  const fits = wanted === "per channel" ? scales === shape[role?.role === "weights" ? role.axis : 0] : scales === 1;
  if (wanted === "any" || fits) return null;
  const has = perChannel ? "per channel" : "per tensor";
  // One scale for all is what it takes the first of many for.
  const first = perChannel && target.takesFirstScale;
  const why = first ? ", and it takes the first scale for all" : "";
  const text = `its weights "${name}" are quantized ${has}${why}; ${target.runtime} needs them ${wanted}: quantize the float model with --target ${target.name}`;
  return { consequence: first ? "wrong" : consequence, kind: has, text };
}

function untied({ node, row, results, target }: Case): Problem | null {
  const { tied } = row;
  if (!tied) return null;
  for (const index of tiedIn(tied.operands, node.row, node.inputs.length)) {
    const source = node.inputs[index];
    if (!source?.quant?.scale.length || tied.rescales?.includes(source.dtype)) continue;
    if (tied.dtypes && !tied.dtypes.includes(source.dtype)) continue;
    const other = results.find(({ quant }) => quant?.scale.length && !areTied(quant, source.quant!, tied.within));
    if (!other) continue;
    const why =
      tied.otherwise === "refused"
        ? `${target.runtime} wants scale and zero point of "${other.name}" to be those of "${source.name}"`
        : `${target.runtime} copies its integers, but scale and zero point of "${other.name}" are not those of "${source.name}"`;
    return {
      consequence: tied.otherwise,
      kind: "whose parameters are not their operand's",
      text: `${why}; quantize the float model with --target ${target.name}`,
    };
  }
  return null;
}

function areTied(a: QuantParam, b: QuantParam, within = 0): boolean {
  if (sameScaleAndZeroPoint(a, b)) return true;
  return Math.abs(a.scale[0]! - b.scale[0]!) <= within && a.zeroPoint[0] === b.zeroPoint[0];
}

function beyondLimit(one: Case): Problem | null {
  const broken = isQuantizedNode(one.node) ? brokenLimit(one) : null;
  if (!broken) return null;
  return refused(
    `with ${broken.has}`,
    `${one.target.runtime} takes ${broken.takes}, and it has ${broken.has}; ${IN_THE_MODEL}`,
  );
}

function alwaysWrong({ row }: Case): Problem | null {
  if (!row.alwaysWrong) return null;
  return { consequence: "wrong", kind: "whatever its dtype", text: `${row.alwaysWrong}; ${IN_THE_MODEL}` };
}

const IN_THE_MODEL = "replace it in the model by operators that the target has";
