/** What a float model, or a fake-quantized one, yields for records: through the engine that records, so in parts where memory asks for it. */
import type { DataSet } from "../calibration/index.ts";
import type { MomentWish } from "../calibration/moments/request.ts";
import { recordSamples } from "../calibration/record.ts";
import { type Fill, type Model, TensorType } from "../model/index.ts";
import type { Outputs } from "./accept.ts";

export interface OutputOptions {
  readonly workers?: number;
  readonly memoryLimit?: number;
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
  const wishes = positions.map(
    (position, i): MomentWish => ({
      subgraph,
      tensor: model.subgraphs![subgraph]!.outputs![position]!,
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
