/** A Worker that rounds layers (rounding.ts), one after the other; a "record" of its pool is a layer. */
import { collectNear } from "../base/memory.ts";
import { compileAsUsual } from "../base/optimizer.ts";
import { failureOf } from "../calibration/failure.ts";
import type { FromWorker, ToWorker } from "../calibration/recorder.ts";
import { loadKernels } from "../weights/kernels.ts";
import { type BlockTask, roundInBlocks } from "./block-rounding.ts";
import { type Rounded, type RoundTask, roundLayer } from "./rounding.ts";

/** What all Workers are told once. */
export interface RoundJob {
  readonly tasks: readonly (RoundTask | (BlockTask & { readonly name: string }))[];
  /** Bytes that the process may have. */
  readonly memoryLimit?: number;
}

declare const self: Worker;

compileAsUsual();

let job: RoundJob;
const kernels = loadKernels();

function rounded(task: RoundJob["tasks"][number], vectors: Float32Array, weights: Float32Array): Rounded {
  if (!("block" in task)) return roundLayer(task, vectors, weights, kernels);
  const { scales: scale, ...found } = roundInBlocks(task, vectors, weights, kernels);
  return { ...found, scale, shrunk: 0, least: 1 };
}

function handle(message: ToWorker<RoundJob>): FromWorker {
  switch (message.kind) {
    case "job":
      job = message.job;
      return { kind: "ready" };
    case "record": {
      collectNear(job.memoryLimit);
      const [vectors, weights] = message.inputs.map((bytes) => new Float32Array(bytes.buffer as ArrayBuffer));
      return {
        kind: "record",
        record: message.record,
        result: rounded(job.tasks[message.record]!, vectors!, weights!),
      };
    }
    default:
      return { kind: "end", result: undefined };
  }
}

self.onmessage = (event: MessageEvent<ToWorker<RoundJob>>) => {
  const message = event.data;
  let answer: FromWorker;
  try {
    answer = handle(message);
  } catch (error) {
    answer = { kind: "error", ...failureOf(error, message.kind === "record" ? message.record : undefined) };
  }
  self.postMessage(answer);
};
