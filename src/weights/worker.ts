/** Entry point of a Worker of the weight stream. */
import { type WorkOrder, workOn } from "./share.ts";

declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<WorkOrder>) => {
  self.postMessage(workOn(data));
};
