/** A Worker that rounds layers (rounding.ts), one after the other; a "record" of its pool is a layer. */
import { collectNear } from "../base/memory.ts";
import { compileAsUsual } from "../base/optimizer.ts";
import { failureOf } from "../calibration/failure.ts";
import type { FromWorker, ToWorker } from "../calibration/recorder.ts";
import { layerKernels, type RoundTask, roundLayer } from "./rounding.ts";

/** What all Workers are told once. */
export interface RoundJob {
  readonly tasks: readonly RoundTask[];
  /** Bytes that the process may have. */
  readonly memoryLimit?: number;
}

declare const self: Worker;

compileAsUsual();

let job: RoundJob;
const kernels = layerKernels();

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
        result: roundLayer(job.tasks[message.record]!, vectors!, weights!, kernels),
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
