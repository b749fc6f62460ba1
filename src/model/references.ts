/**
 * WHAT TABLES REFER TO BY NUMBER: every field of the schema that holds an index. Whoever moves tensors, buffers or subgraphs moves these
 * (test/model/references.test.ts holds the table to the schema).
 */
import type { Operator, QuantizationParameters, Tensor } from "./schema.gen.ts";

export type Referenced = "tensor" | "buffer" | "operator code" | "subgraph";

/** By table and field. Tensors are those of the subgraph that the table belongs to; −1 is "none". */
export const REFERENCES: Readonly<Record<string, Readonly<Record<string, Referenced>>>> = {
  Model: { metadataBuffer: "buffer" },
  Metadata: { buffer: "buffer" },
  SubGraph: { inputs: "tensor", outputs: "tensor" },
  Tensor: { buffer: "buffer" },
  BlockwiseQuantization: { scales: "tensor", zeroPoints: "tensor" },
  MultiAxisQuantization: { scales: "tensor", zeroPoints: "tensor" },
  Operator: { opcodeIndex: "operator code", inputs: "tensor", outputs: "tensor", intermediates: "tensor" },
  SignatureDef: { subgraphIndex: "subgraph" },
  TensorMap: { tensorIndex: "tensor" },
  CallOnceOptions: { initSubgraphIndex: "subgraph" },
  CallOptions: { subgraph: "subgraph" },
  IfOptions: { thenSubgraphIndex: "subgraph", elseSubgraphIndex: "subgraph" },
  WhileOptions: { condSubgraphIndex: "subgraph", bodySubgraphIndex: "subgraph" },
  StableHLOCompositeOptions: { decompositionSubgraphIndex: "subgraph" },
  StablehloCaseOptions: { branchSubgraphIndices: "subgraph" },
  StablehloCustomCallOptions: { calledComputations: "subgraph" },
  StablehloReduceOptions: { bodySubgraphIndex: "subgraph" },
  StablehloReduceWindowOptions: { bodySubgraphIndex: "subgraph" },
  StablehloScatterOptions: { updateComputationSubgraphIndex: "subgraph" },
  StablehloSortOptions: { comparatorSubgraphIndex: "subgraph" },
  StablehloWhileOptions: { condSubgraphIndex: "subgraph", bodySubgraphIndex: "subgraph" },
};

/** Fields that hold a list: an absent one names none, an absent number is 0. */
const LISTS: ReadonlySet<string> = new Set(["branchSubgraphIndices", "calledComputations"]);

type Options = { readonly type: string; readonly value: Readonly<Record<string, unknown>> | null };

/** Fields of an operator's options that name subgraphs, and the indices in each; −1 where a field has its default of none. */
export function subgraphsOf(operator: Operator): { field: string; indices: readonly number[] }[] {
  return ([operator.builtinOptions, operator.builtinOptions2] as (Options | undefined)[]).flatMap((options) => {
    const { value, type } = options ?? {};
    if (!value) return [];
    return Object.keys(REFERENCES[type!] ?? {}).map((field) => {
      const indices = value[field] ?? (LISTS.has(field) ? [] : 0);
      return { field, indices: typeof indices === "number" ? [indices] : [...(indices as Int32Array)] };
    });
  });
}

/** The operator with other numbers for the subgraphs that its options name. */
export function withSubgraphs(operator: Operator, move: (index: number) => number): Operator {
  const moved = (options: Options | undefined): Options | undefined => {
    const fields = Object.keys(REFERENCES[options?.type ?? ""] ?? {});
    if (!options?.value || fields.length === 0) return options;
    const value = { ...options.value };
    for (const field of fields) {
      if (LISTS.has(field) && value[field] === undefined) continue;
      const indices = value[field] ?? 0;
      value[field] = typeof indices === "number" ? move(indices) : (indices as Int32Array).map(move);
    }
    return { ...options, value };
  };
  const { builtinOptions, builtinOptions2 } = operator;
  return {
    ...operator,
    builtinOptions: moved(builtinOptions as Options) as typeof builtinOptions,
    builtinOptions2: moved(builtinOptions2 as Options) as typeof builtinOptions2,
  };
}

/** Tensors that a tensor's quantization details name (block-wise scales): none of them has to be any operator's operand. */
export function detailTensors({ quantization }: Pick<Tensor, "quantization">): { field: string; index: number }[] {
  const details = quantization?.details as Options | undefined;
  return Object.keys(REFERENCES[details?.type ?? ""] ?? {}).flatMap((field) => {
    const index = details!.value?.[field];
    return typeof index === "number" && index >= 0 ? [{ field, index }] : [];
  });
}

/** The parameters with other numbers for the tensors that their details name. */
export function withDetailTensors(
  quantization: QuantizationParameters,
  move: (index: number) => number,
): QuantizationParameters {
  const named = detailTensors({ quantization });
  if (named.length === 0) return quantization;
  const { type, value } = quantization.details as Options;
  const moved = Object.fromEntries(named.map(({ field, index }) => [field, move(index)]));
  return { ...quantization, details: { type, value: { ...value, ...moved } } as QuantizationParameters["details"] };
}
