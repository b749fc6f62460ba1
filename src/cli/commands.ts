/** THE COMMANDS by name. Each is loaded when it is asked for, because most of a short run is loading; help loads them all. */
import type { Command } from "../commands/command.ts";

export const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  quantize: async () => (await import("../commands/quantize.ts")).quantize,
  record: async () => (await import("../commands/record.ts")).record,
  inspect: async () => (await import("../commands/inspect.ts")).inspect,
  verify: async () => (await import("../commands/verify.ts")).verify,
  compare: async () => (await import("../commands/compare.ts")).compare,
  convert: async () => (await import("../commands/convert.ts")).convert,
  "fake-quantize": async () => (await import("../commands/fake-quantize.ts")).fakeQuantize,
  "fake-quantize-weights": async () => (await import("../commands/fake-quantize-weights.ts")).fakeQuantizeWeights,
  "quantize-weights": async () => (await import("../commands/quantize-weights.ts")).quantizeWeights,
  "quantize-onnx": async () => (await import("../commands/quantize-onnx.ts")).quantizeOnnx,
  requantize: async () => (await import("../commands/requantize.ts")).requantize,
  "set-parameters": async () => (await import("../commands/set-parameters.ts")).setParameters,
  batch: async () => (await import("../commands/batch.ts")).batch,
  worker: async () => (await import("../commands/worker.ts")).worker,
};

/** All commands, in the order of the help. */
export function allCommands(): Promise<Command[]> {
  return Promise.all(Object.values(COMMANDS).map((load) => load()));
}

/** The commands that these words can be about: one, when the first word that is no option names it, else all. */
export async function commandsFor(words: readonly string[]): Promise<Command[]> {
  const name = words.find((word) => !word.startsWith("-")) ?? "";
  return Object.hasOwn(COMMANDS, name) ? [await COMMANDS[name]!()] : allCommands();
}
