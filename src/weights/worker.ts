/** Entry point of a Worker of the weight stream. */
import { compileAsUsual } from "../base/optimizer.ts";
import { loadKernels, useCompiled } from "./kernels.ts";
import { type WorkOrder, workOn } from "./threads.ts";

declare const self: Worker;

compileAsUsual();

/** The compiled kernels come first, while the main thread still reads tables; then the work. */
self.onmessage = async ({ data }: MessageEvent<WebAssembly.Module | WorkOrder>) => {
  if (data instanceof WebAssembly.Module) {
    useCompiled(data);
    loadKernels();
    return;
  }
  self.postMessage(await workOn(data));
};
