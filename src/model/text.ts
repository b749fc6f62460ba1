/**
 * A model as text: a line for each input, constant, operator and output, the same for the same tables, so that two models can be compared by `diff`.
 *
 *     input x FLOAT32[1,8,8,3]
 *     constant w UINT8[16,3,3,3] 16 scales 0.01…0.02 along axis 0
 *     CONV_2D(x, w, b) RELU {strideW 1, strideH 1} -> y UINT8[1,8,8,16] scale 0.0235 zero point 128
 *     output y
 */
import { operatorName } from "./operator-codes.ts";
import {
  ActivationFunctionType,
  DIALECTS,
  ENUMS,
  type Model,
  nameOf,
  type Operator,
  type SubGraph,
  type Tensor,
  TensorType,
} from "./schema.gen.ts";

/** Subgraph `index` as lines. */
export function subgraphText(model: Model, index: number): string[] {
  const graph = model.subgraphs![index]!;
  const tensors = graph.tensors ?? [];
  const nameAt = (at: number) => nameOfTensor(graph, at);
  const isConstant = ({ buffer }: Tensor) => (model.buffers?.[buffer ?? 0]?.data?.length ?? 0) > 0;
  return [
    ...Array.from(graph.inputs ?? [], (at) => `input ${tensorText(tensors[at]!)}`),
    ...tensors.filter(isConstant).map((tensor) => `constant ${tensorText(tensor)}`),
    ...(graph.operators ?? []).map((operator) => {
      const results = Array.from(operator.outputs ?? [], (at) => (at < 0 ? "-" : tensorText(tensors[at]!)));
      return `${operatorText(model, graph, operator)} -> ${results.join("; ")}`;
    }),
    ...Array.from(graph.outputs ?? [], (at) => `output ${nameAt(at)}`),
  ];
}

/** The operators of subgraph `index` by names alone: `CONV_2D(x, w, b) RELU -> y`. */
export function operatorTexts(model: Model, index = 0): string[] {
  const graph = model.subgraphs![index]!;
  return (graph.operators ?? []).map((operator) => {
    const results = Array.from(operator.outputs ?? [], (at) => nameOfTensor(graph, at));
    return `${callText(model, graph, operator)} -> ${results.join(", ")}`;
  });
}

/** `y UINT8[1,8] scale 0.0235 zero point 128`: numbers in six digits, several scales as their extremes. */
export function tensorText({ name = "", type = 0, shape, quantization }: Tensor): string {
  const { min, max, scale, zeroPoint, quantizedDimension = 0 } = quantization ?? {};
  const parts = [name, `${nameOf(TensorType, type)}[${[...(shape ?? [])]}]`];
  if (scale?.length === 1) parts.push(`scale ${shortNumber(scale[0]!)} zero point ${zeroPoint?.[0] ?? 0}`);
  else if (scale?.length) parts.push(`${scale.length} scales ${extremes(scale)} along axis ${quantizedDimension}`);
  if (min?.length === 1 && max?.length === 1) parts.push(`range ${shortNumber(min[0]!)}…${shortNumber(max[0]!)}`);
  return parts.join(" ");
}

/** `CONV_2D(x, w, b) RELU {strideW 2}`: an operator without its results. */
export function operatorText(model: Model, graph: SubGraph, operator: Operator): string {
  return `${callText(model, graph, operator)}${optionsText(operator)}`;
}

/** `CONV_2D(x, w, b) RELU`. */
function callText(model: Model, graph: SubGraph, operator: Operator): string {
  const operands = Array.from(operator.inputs ?? [], (at) => nameOfTensor(graph, at));
  const fused = (operator.builtinOptions?.value as { fusedActivationFunction?: number } | null | undefined)
    ?.fusedActivationFunction;
  // A custom operator without a name is just that.
  const op = operatorName(model, operator).replace(/:$/, "");
  return `${op}(${operands.join(", ")})${fused ? ` ${nameOf(ActivationFunctionType, fused)}` : ""}`;
}

function nameOfTensor({ tensors }: SubGraph, at: number): string {
  return at < 0 ? "-" : (tensors?.[at]?.name ?? "");
}

/** ` {padding VALID, strideW 2}`: what differs from the schema's default, in the schema's order, with the names of enums. */
function optionsText({ builtinOptions }: Operator): string {
  if (!builtinOptions?.value) return "";
  const value = builtinOptions.value as Readonly<Record<string, unknown>>;
  const fields = [DIALECTS.circle, DIALECTS.tflite].flatMap(({ tables }) => tables[builtinOptions.type] ?? []);
  const parts = new Map<string, string>();
  for (const { name, enum: names, default: usual } of fields) {
    const given = value[name];
    if (given === undefined || given === null || given === usual || name === "fusedActivationFunction") continue;
    parts.set(name, `${name} ${names ? nameOf(ENUMS[names]!, given as number) : plain(given)}`);
  }
  return parts.size > 0 ? ` {${[...parts.values()].join(", ")}}` : "";
}

function plain(value: unknown): string {
  if (ArrayBuffer.isView(value)) return `[${[...(value as Uint8Array)]}]`;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function extremes(values: ArrayLike<number>): string {
  let [least, most] = [values[0]!, values[0]!];
  for (let i = 1; i < values.length; i++) {
    least = Math.min(least, values[i]!);
    most = Math.max(most, values[i]!);
  }
  return `${shortNumber(least)}…${shortNumber(most)}`;
}

/** Six digits say enough for people. */
export function shortNumber(value: number): string {
  return String(Number(value.toPrecision(6)));
}
