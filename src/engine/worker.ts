/**
 * The Worker that has LiteRT: it records (calibration/recorder.ts) and runs results once (trial/try-once.ts). One for both, because
 * starting LiteRT takes longer than a small model: what recorded a model tries its result, and in a batch the next model's
 * (calibration/engines.ts). Messages are handled one after the other, although each takes its time.
 */
import { compileAsUsual } from "../base/optimizer.ts";
import { failureOf } from "../calibration/failure.ts";
import { openInstance } from "../calibration/litert.ts";
import { type FromWorker, givenAway, Recorder, type ToWorker } from "../calibration/recorder.ts";
import { type TrialJob, tried } from "../trial/try-once.ts";

/** What only this Worker is asked. */
type ToEngine = ToWorker | { readonly kind: "try"; readonly job: TrialJob } | Warm;

/** LiteRT is wanted soon; there is no answer. */
interface Warm {
  readonly kind: "warm";
  readonly library: WebAssembly.Module;
  readonly fastMath: boolean;
}

declare const self: Worker;

compileAsUsual();

let recorder: Recorder | undefined;
let queue: Promise<void> = Promise.resolve();

async function handle(message: Exclude<ToEngine, { kind: "try" }>): Promise<FromWorker | undefined> {
  switch (message.kind) {
    case "warm":
      // What goes wrong is said when it is needed.
      await openInstance(message.library, message.fastMath).catch(() => {});
      return undefined;
    case "job":
      recorder = undefined;
      recorder = await Recorder.begin(message.job);
      return { kind: "ready" };
    default:
      return recorder!.handle(message);
  }
}

async function answer(message: ToEngine): Promise<void> {
  if (message.kind === "try") {
    self.postMessage(await tried(message.job, (progress) => self.postMessage(progress)));
    return;
  }
  try {
    const given = await handle(message);
    if (given) self.postMessage(given, givenAway(given));
  } catch (error) {
    const record = message.kind === "record" ? message.record : undefined;
    self.postMessage({ kind: "error", ...failureOf(error, record) } satisfies FromWorker);
  }
}

self.onmessage = (event: MessageEvent<ToEngine>) => {
  queue = queue.then(() => answer(event.data));
};
