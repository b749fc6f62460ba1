/**
 * Looking at channels while samples run: least and largest value and sum of squares of each, and whole tensors where they are wanted. What a
 * record says is handed on in the order of the records, so that sums do not depend on who ran which record.
 */
import type { Progress } from "../base/output.ts";
import type { Fill, Model } from "../model/index.ts";
import type { DataSet } from "./dataset.ts";
import { constantsKnown, dependsOnData } from "./fold.ts";
import { subgraphOf } from "./graph-facts.ts";
import { instrument, nameIn } from "./instrument.ts";
import { type Look, type Looked, OF_CHANNEL } from "./look-observer.ts";
import { runModel } from "./run.ts";
import { checkVariables, needsSteps } from "./stepwise/needs.ts";

export interface LookOptions {
  /** 0 by default. */
  readonly subgraph?: number;
  /** By tensor of the subgraph. */
  readonly looks: ReadonlyMap<number, Look>;
  /** Takes what a record says of a tensor. Records come in order; in a large model each tensor's do. */
  take(record: number, tensor: number, looked: Looked): void;
  readonly workers?: number;
  readonly memoryLimit?: number;
  /** Of that, bytes that something else has meanwhile. */
  readonly heldBytes?: number;
  readonly fastMath?: boolean;
  readonly onProgress?: Progress;
  readonly fill?: Fill;
  /** As RecordOptions has it. A model of little else than QUANTIZE and DEQUANTIZE is faster in one piece. */
  readonly cut?: "never" | "always";
}

/** Runs a model on all records and looks. False where it has to be run operator by operator, which shows nothing here. Throws a MinmaxqError. */
export async function lookAtRecords(model: Model, data: DataSet, options: LookOptions): Promise<boolean> {
  const { subgraph = 0, looks } = options;
  const graph = subgraphOf(model, subgraph);
  checkVariables(model, subgraph);
  const known = await constantsKnown(model, graph);
  if (data.shapes || needsSteps(model, subgraph, known)) return false;
  const plan = instrument(model, subgraph, known);
  const [first, ...called] = plan.model.subgraphs!;
  const outputs = plan.outputs.filter(({ tensor }) => looks.has(tensor));
  const shown = { ...first!, outputs: Int32Array.from(outputs, ({ tensor }) => tensor) };
  let bytes = 0;
  for (const { channels } of looks.values()) bytes += OF_CHANNEL * 8 * channels;
  await runModel(
    {
      ...plan,
      model: { ...plan.model, subgraphs: [shown, ...called] },
      inputs: plan.inputs.filter(({ tensor }) => looks.has(tensor)),
      outputs,
      outputNames: outputs.map(({ tensor }) => `t${tensor}`),
    },
    data,
    {
      ...options,
      observer: "looks",
      observerBytes: bytes,
      name: (tensor) => nameIn(graph, tensor),
      settle: dependsOnData(model, graph, known),
      looks: { of: looks, take: options.take },
    },
  );
  return true;
}
