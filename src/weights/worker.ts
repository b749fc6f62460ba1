/** Entry point of a Worker of the weight stream. */
import { loadKernels } from "./kernels.ts";
import { type WorkOrder, workOn } from "./share.ts";

declare const self: Worker;

// Compiled while the main thread still reads tables.
loadKernels();

self.onmessage = async ({ data }: MessageEvent<WorkOrder>) => {
  self.postMessage(await workOn(data));
};
