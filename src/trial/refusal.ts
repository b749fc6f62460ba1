/** What LiteRT said of a model, in words that name our operators and tensors. */
import { codeOf, nameOfTensor } from "../calibration/graph-facts.ts";
import {
  BuiltinOperator,
  type Model,
  nameOf,
  type Operator,
  operatorName,
  type SubGraph,
  TensorType,
} from "../model/index.ts";
import type { Dtype } from "../model/tensor-types.ts";

/** A model that LiteRT does not take. */
export interface Refusal {
  /** `CONV_2D "conv1"`; absent where LiteRT's words point at none. */
  readonly operator?: string;
  /** The tensor that it yields. */
  readonly tensor?: string;
  /** LiteRT's reason without what only its authors can read. */
  readonly said: string;
  /** What to do, where the operator tells. */
  readonly remedy: string;
}

/** An operator of a model. */
export interface Place {
  readonly graph: SubGraph;
  readonly operator: Operator;
}

/** Makes a refusal of LiteRT's reason; `step`: number of the operator over all subgraphs, where the model was run operator by operator. */
export function refusalOf(model: Model, reason: string, step?: number): Refusal {
  const place = step === undefined ? placeIn(model, reason) : operatorAt(model, step);
  const said = saidOf(model, reason);
  if (!place) return { said, remedy: OTHERWISE };
  const { graph, operator } = place;
  const result = operator.outputs?.find((index) => index >= 0);
  const tensor = result === undefined ? undefined : nameOfTensor(graph.tensors![result]!, result);
  const kind = operatorName(model, operator);
  return {
    operator: tensor === undefined ? kind : `${kind} "${tensor}"`,
    ...(tensor !== undefined && { tensor }),
    said,
    remedy: FOREIGN.find(({ is }) => is(constantsOf(model, place)))?.remedy ?? OTHERWISE,
  };
}

/** In one line: `CONV_2D "conv1": …; LiteRT says: …`. */
export function refusalText({ operator, said, remedy }: Refusal): string {
  return `LiteRT does not run ${operator ?? "it"}: ${remedy} (LiteRT says: ${said})`;
}

/** The operator that a reason points at: by its number and kind, or by its kind alone. */
function placeIn(model: Model, reason: string): Place | undefined {
  const all = operatorsOf(model);
  const kindAt = ({ operator }: Place) => nameOf(BuiltinOperator, codeOf(model, operator));
  const numbered = /[Nn]ode number (\d+) \((?!TfLiteXNNPackDelegate)(\w+)\)/.exec(reason) ?? undefined;
  const delegated = /failed to delegate (\w+) node #(\d+)/.exec(reason) ?? undefined;
  const [number, kind] = numbered ? [numbered[1], numbered[2]] : delegated ? [delegated[2], delegated[1]] : [];
  if (number !== undefined) {
    // The number is within a subgraph, and which one is not said.
    const found = model.subgraphs!.flatMap((graph): Place[] => {
      const operator = graph.operators?.[Number(number)];
      return operator ? [{ graph, operator }] : [];
    });
    return found.find((place) => kindAt(place) === kind || operatorName(model, place.operator).endsWith(`:${kind}`));
  }
  const lacking = /Didn't find op for builtin opcode '(\w+)'/.exec(reason)?.[1];
  return lacking === undefined ? undefined : all.find((place) => kindAt(place) === lacking);
}

/** The operator of a number over all subgraphs. */
export function operatorAt(model: Model, step: number): Place | undefined {
  return operatorsOf(model)[step];
}

/** All operators in the order of the file; that of their numbers. */
function operatorsOf(model: Model): Place[] {
  return (model.subgraphs ?? []).flatMap((graph) => (graph.operators ?? []).map((operator) => ({ graph, operator })));
}

/** LiteRT's words without source files, addresses and what follows from the rest; tensors are called by their names. */
function saidOf(model: Model, reason: string): string {
  const clauses = reason
    .replace(/^the (?:model|inputs) cannot be \w+: /, "")
    .replace(/ERROR: \[[^\]]*\]|\[?(?:\.\/)?third_party\/[^\s\]]+\]? ?|└/g, "")
    .split(/;\s*|\n/)
    .map((clause) => clause.trim().replace(/\.$/, ""))
    .filter(
      (clause) =>
        clause !== "" &&
        !/^(?:Failed to allocate tensors|Failed to invoke|[Nn]ode number \d+ \(\w+\) failed to)/i.test(clause),
    );
  const named = [...new Set(clauses)].map((clause) =>
    clause
      // The default delegate refuses the model where it should have left the operator to other kernels.
      .replace(
        /^failed to delegate (\w+) node #\d+$/,
        "XNNPACK, which it uses by default, cannot take $1 with these types and scales",
      )
      .replace(/\bTensor (\d+)\b/g, (text, index) => {
        const tensor = model.subgraphs?.[0]?.tensors?.[Number(index)];
        return tensor ? `tensor "${nameOfTensor(tensor, Number(index))}"` : text;
      }),
  );
  const text = [...new Set(named)].slice(0, 3).join("; ");
  return text === "" ? "no reason" : text;
}

interface Constant {
  readonly dtype: Dtype;
  readonly scales: number;
}

/** Constants that an operator reads, with what tells their scheme. */
function constantsOf(model: Model, { graph, operator }: Place): Constant[] {
  return Array.from(operator.inputs ?? []).flatMap((index) => {
    const tensor = index < 0 ? undefined : graph.tensors![index]!;
    if (!tensor || !model.buffers?.[tensor.buffer ?? 0]?.data?.length) return [];
    const dtype = nameOf(TensorType, tensor.type ?? TensorType.FLOAT32) as Dtype;
    return [{ dtype, scales: tensor.quantization?.scale?.length ?? 0 }];
  });
}

/** Weights that ONE's runtimes have kernels for and LiteRT has not. */
const FOREIGN: readonly { readonly remedy: string; is(constants: readonly Constant[]): boolean }[] = [
  {
    remedy:
      "LiteRT has no kernels for ONE's uint8 per channel: write .circle, or choose --scheme int8 (what stock LiteRT runs), or --no-run to keep the file",
    is: (constants) => constants.some(({ dtype, scales }) => dtype === "UINT8" && scales > 1),
  },
  {
    remedy:
      "LiteRT has no kernels for ONE's int16: write .circle, or choose --scheme int16x8 (what stock LiteRT runs), or --no-run to keep the file",
    is: (constants) => constants.some(({ dtype, scales }) => dtype === "INT16" && scales > 0),
  },
];
const OTHERWISE = "choose another --scheme, or --no-run to keep the file";
