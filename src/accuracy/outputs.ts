/** What a float model, or a fake-quantized one, yields for records: through the engine that records, so in parts where memory asks for it. */
import { MinmaxqError } from "../base/errors.ts";
import { SIZES_CONTRADICTED } from "../calibration/failure.ts";
import type { DataSet } from "../calibration/index.ts";
import { lookAtRecords } from "../calibration/looks.ts";
import type { MomentWish } from "../calibration/moments/request.ts";
import { recordSamples } from "../calibration/record.ts";
import { type Fill, type Model, TensorType } from "../model/index.ts";
import type { Outputs } from "./accept.ts";

export interface OutputOptions {
  readonly workers?: number;
  readonly memoryLimit?: number;
  /** Of that, bytes that something else has meanwhile. */
  readonly heldBytes?: number;
  readonly fastMath?: boolean;
  readonly sequence?: boolean;
  readonly fill?: Fill;
}

/** Which outputs of a subgraph can be told apart by numbers: float32 ones that an operator yields, by their position. */
export function comparableOutputs(model: Model, subgraph: number): number[] {
  const { tensors = [], outputs = [], operators = [] } = model.subgraphs![subgraph]!;
  const given = new Set(operators.flatMap((operator) => Array.from(operator.outputs ?? [])));
  return Array.from(outputs).flatMap((tensor, position) =>
    given.has(tensor) && (tensors[tensor]!.type ?? TensorType.FLOAT32) === TensorType.FLOAT32 ? [position] : [],
  );
}

/** Values of outputs (by position) for all records; those that a record did not show are empty. Throws a MinmaxqError. */
export async function outputsOf(
  model: Model,
  subgraph: number,
  positions: readonly number[],
  data: DataSet,
  options: OutputOptions,
): Promise<Outputs> {
  const found = positions.map(() => Array.from({ length: data.count }, () => new Float32Array(0)));
  const tensors = positions.map((position) => model.subgraphs![subgraph]!.outputs![position]!);
  if (!options.sequence && (await lookAtOutputs(model, subgraph, tensors, data, options, found))) return found;
  const wishes = tensors.map(
    (tensor, i): MomentWish => ({
      subgraph,
      tensor,
      taps: { kind: "rows", channels: 1 },
      vectors: Number.MAX_SAFE_INTEGER,
      take: (record, _count, _mean, values) => {
        found[i]![record] = values as Float32Array<ArrayBuffer>;
      },
    }),
  );
  await recordSamples(model, data, { ...options, subgraph, moments: { wishes, begin() {} } });
  return found;
}

/** The same of a model whose sizes are known: nothing but its outputs is shown, which is faster. False where it has to be run operator by operator. */
async function lookAtOutputs(
  model: Model,
  subgraph: number,
  tensors: readonly number[],
  data: DataSet,
  options: OutputOptions,
  found: Float32Array[][],
): Promise<boolean> {
  const look = { channels: 0, inner: 1, whole: true };
  try {
    return await lookAtRecords(model, data, {
      ...options,
      ...(options.memoryLimit === undefined && isSmall(model, subgraph) && { cut: "never" as const }),
      subgraph,
      looks: new Map(tensors.map((tensor) => [tensor, look])),
      take(record, tensor, { values }) {
        for (const [i, each] of tensors.entries()) if (each === tensor && values) found[i]![record] = values;
      },
    });
  } catch (error) {
    if (error instanceof MinmaxqError && error.code === SIZES_CONTRADICTED) return false;
    throw error;
  }
}

/** Bytes of tensors and constants with which a model is tried in one piece: that fits any machine, and is faster. */
const IN_ONE_PIECE = 192e6;

/** Whether a model is best tried in one piece. */
export function isSmall(model: Model, subgraph: number): boolean {
  const { tensors = [] } = model.subgraphs![subgraph]!;
  const sizeOf = ({ shape }: { readonly shape?: ArrayLike<number> }) =>
    4 * Array.from(shape ?? []).reduce((size, dim) => size * dim, 1);
  return tensors.reduce((sum, tensor) => sum + sizeOf(tensor), 0) < IN_ONE_PIECE;
}

/** Whether two models may be tried at a time: each takes a core and memory. */
export function areSideBySide({
  workers = navigator.hardwareConcurrency,
  memoryLimit,
}: Pick<OutputOptions, "workers" | "memoryLimit">): boolean {
  return workers > 1 && memoryLimit === undefined;
}
