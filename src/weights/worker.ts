/** Entry point of a Worker of the weight stream. */
import { type WorkOrder, workOn } from "./share.ts";

declare const self: Worker;

self.onmessage = async ({ data }: MessageEvent<WorkOrder>) => {
  self.postMessage(await workOn(data));
};
