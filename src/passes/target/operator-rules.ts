/** What a target takes of an operator: one function a rule, the first that is broken is told. All read its row in src/rules/targets.ts. */
import { counted } from "../../base/text.ts";
import { type Dtype, isConstant, type Node, yieldedBy } from "../../graph/graph.ts";
import { sameScaleAndZeroPoint } from "../../graph/quantparam.ts";
import { operandsWith } from "../../rules/operators.ts";
import { type Consequence, type Target, type TargetOperator, targetRow } from "../../rules/targets.ts";
import type { ConstantScanner } from "../../weights/scan.ts";

/** What is wrong with one operator. */
export interface Problem {
  readonly consequence: Consequence;
  /** What operators of a kind have in common, for counting them: "per channel". */
  readonly kind: string;
  /** What is wrong, and what to do, for this one. */
  readonly text: string;
}

interface Case {
  readonly node: Node;
  readonly row: TargetOperator;
  readonly results: readonly Node[];
  readonly target: Target;
  readonly scanner: ConstantScanner;
}

/** The first rule that an operator of a graph breaks; null where its target takes it. */
export function problemOf(node: Node, target: Target, scanner: ConstantScanner): Problem | null {
  const one: Case = { node, row: targetRow(target, node.op), results: yieldedBy(node), target, scanner };
  for (const rule of RULES) {
    const problem = rule(one);
    if (problem) return problem;
  }
  return null;
}

const RULES: readonly ((one: Case) => Problem | null)[] = [
  noKernel,
  noKernelForDtype,
  otherOperandCount,
  integers,
  otherRank,
  valuesNotTaken,
  operandsThatVary,
  unfitShapes,
  laterVersion,
  floatWithQuantizedWeights,
  otherGranularity,
  untied,
  alwaysWrong,
];

function noKernel({ node, row, target }: Case): Problem | null {
  if (row.dtypes.length > 0) return null;
  const text = `${target.runtime} has no kernel for ${nameOf(node)}; ${IN_THE_MODEL}`;
  return refused("without a kernel", text);
}

function noKernelForDtype({ node, row, results, target }: Case): Problem | null {
  const operand = activationsOf(node).find((tensor) => isNumber(tensor) && !row.dtypes.includes(tensor.dtype));
  const result = results.find((tensor) => isNumber(tensor) && !(row.results ?? row.dtypes).includes(tensor.dtype));
  const odd = operand ?? result;
  if (!odd) return null;
  const dtype = odd.dtype.toLowerCase();
  return {
    consequence: "refused",
    kind: `with ${dtype}`,
    text: `${target.runtime} does not compute it with ${dtype} ("${odd.name}"); ${remedyFor(odd.dtype, target)}`,
  };
}

function remedyFor(dtype: Dtype, { name, activations }: Target): string {
  if (dtype === "FLOAT16" || dtype === "BFLOAT16")
    return `'minmaxq convert --target ${name}' makes float32 constants of it`;
  if (!activations.includes(dtype)) return `quantize the float model to uint8 with --target ${name}`;
  return `quantize the float model with --target ${name}, which keeps it float`;
}

function otherOperandCount({ node, row, target }: Case): Problem | null {
  const { least = 0, most = node.inputs.length } = row.operands ?? {};
  const count = node.inputs.filter(Boolean).length;
  const absent = count < node.inputs.length && !row.absentOperands;
  if (absent && count >= least)
    return refused("with an absent operand", `${target.runtime} does not take absent operands here; ${IN_THE_MODEL}`);
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
    text: `is version ${node.version}, and ${target.runtime} knows up to ${version}; convert the model with an older converter`,
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

function otherGranularity({ node, row, target }: Case): Problem | null {
  const weights = weightsOf(node);
  if (!weights?.quant || node.dtype === "FLOAT32") return null;
  return granularityProblem(node, weights, row.weights ?? "any", "wrong", target);
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
  const why = perChannel ? ", and it takes the first scale for all" : "";
  const text = `its weights "${name}" are quantized ${has}${why}; ${target.runtime} needs them ${wanted}: quantize the float model with --target ${target.name}`;
  return { consequence: perChannel ? "wrong" : consequence, kind: has, text };
}

function untied({ node, row, results, target }: Case): Problem | null {
  if (!row.tied) return null;
  const source = node.inputs[row.tied.operand];
  if (!source?.quant?.scale.length) return null;
  const other = results.find(({ quant }) => quant?.scale.length && !sameScaleAndZeroPoint(quant, source.quant!));
  if (!other) return null;
  return {
    consequence: row.tied.otherwise,
    kind: "whose parameters are not their operand's",
    text: `${target.runtime} copies its integers, but scale and zero point of "${other.name}" are not those of "${source.name}"; quantize the float model with --target ${target.name}`,
  };
}

function alwaysWrong({ row }: Case): Problem | null {
  if (!row.alwaysWrong) return null;
  return { consequence: "wrong", kind: "whatever its dtype", text: `${row.alwaysWrong}; ${IN_THE_MODEL}` };
}

const IN_THE_MODEL = "replace it in the model by operators that the target has";

const refused = (kind: string, text: string): Problem => ({ consequence: "refused", kind, text });

/** Operands that are numbers to compute with: where the operator table knows no roles, all of them. */
function activationsOf(node: Node): Node[] {
  const row = node.row;
  const ruled = operandsWith(row, node.inputs.length, "activation");
  const indices = ruled.length > 0 ? ruled : node.inputs.keys();
  return [...indices].flatMap((index) => node.inputs[index] ?? []);
}

function weightsOf(node: Node): Node | undefined {
  const [index] = operandsWith(node.row, node.inputs.length, "weights");
  const weights = index === undefined ? null : node.inputs[index];
  return weights ?? undefined;
}

/** Indices, shapes and booleans are no numbers that a scale could belong to. */
export function isNumber({ dtype }: Node): boolean {
  return !["INT32", "INT64", "BOOL", "STRING"].includes(dtype);
}

export function isInteger(node: Node): boolean {
  return isNumber(node) && node.dtype !== "FLOAT32";
}

export function nameOf({ op, customCode }: Node): string {
  return op === "CUSTOM" ? `CUSTOM:${customCode}` : op;
}
