/**
 * THE COMMANDS AND FRONTS by name, in the order of the help. This table is read at every start, before anything else; so it loads nothing:
 * each command is loaded when it is asked for, because most of a short run is loading. Help loads them all.
 */
import type { Output } from "../base/output.ts";
import type { Command } from "../commands/command.ts";
import type { FrontText } from "../drop-in/words.ts";

/** A tool of ONE under its own name, with its own arguments. */
export interface Front {
  run(words: readonly string[], output: Output): Promise<void>;
  help(): string;
  /** For completions and man pages. */
  readonly text: FrontText;
}

interface Row {
  /**
   * Whether it runs a model on samples, which is JavaScript for long; everything else streams weights. `with --data`: with that option
   * only. src/start.ts chooses by it when JavaScript is compiled.
   */
  readonly runsModels: "always" | "with --data" | "never";
}

export interface CommandRow extends Row {
  load(): Promise<Command>;
}

export interface FrontRow extends Row {
  readonly summary: string;
  load(): Promise<Front>;
}

export const COMMANDS: Readonly<Record<string, CommandRow>> = {
  quantize: {
    runsModels: "with --data",
    load: async () => (await import("../commands/quantize.ts")).quantize,
  },
  record: {
    runsModels: "always",
    load: async () => (await import("../commands/record.ts")).record,
  },
  inspect: {
    runsModels: "never",
    load: async () => (await import("../commands/inspect.ts")).inspect,
  },
  diff: {
    runsModels: "never",
    load: async () => (await import("../commands/diff.ts")).diff,
  },
  explain: {
    runsModels: "never",
    load: async () => (await import("../commands/explain.ts")).explain,
  },
  verify: {
    runsModels: "never",
    load: async () => (await import("../commands/verify.ts")).verify,
  },
  check: {
    runsModels: "never",
    load: async () => (await import("../commands/check.ts")).check,
  },
  compare: {
    runsModels: "always",
    load: async () => (await import("../commands/compare.ts")).compare,
  },
  tune: {
    runsModels: "always",
    load: async () => (await import("../commands/tune.ts")).tune,
  },
  diagnose: {
    runsModels: "always",
    load: async () => (await import("../commands/diagnose.ts")).diagnose,
  },
  data: {
    // Or pictures through JavaScript, which takes as long.
    runsModels: "always",
    load: async () => (await import("../commands/data.ts")).data,
  },
  convert: {
    runsModels: "never",
    load: async () => (await import("../commands/convert.ts")).convert,
  },
  "fake-quantize": {
    runsModels: "never",
    load: async () => (await import("../commands/fake-quantize.ts")).fakeQuantize,
  },
  "fake-quantize-weights": {
    runsModels: "never",
    load: async () => (await import("../commands/fake-quantize-weights.ts")).fakeQuantizeWeights,
  },
  "quantize-weights": {
    runsModels: "with --data",
    load: async () => (await import("../commands/quantize-weights.ts")).quantizeWeights,
  },
  "quantize-onnx": {
    runsModels: "never",
    load: async () => (await import("../commands/quantize-onnx.ts")).quantizeOnnx,
  },
  requantize: {
    runsModels: "never",
    load: async () => (await import("../commands/requantize.ts")).requantize,
  },
  dequantize: {
    runsModels: "never",
    load: async () => (await import("../commands/dequantize.ts")).dequantize,
  },
  "set-parameters": {
    runsModels: "never",
    load: async () => (await import("../commands/set-parameters.ts")).setParameters,
  },
  batch: {
    runsModels: "with --data",
    load: async () => (await import("../commands/batch.ts")).batch,
  },
  worker: {
    runsModels: "never",
    load: async () => (await import("../commands/worker.ts")).worker,
  },
  doctor: {
    runsModels: "never",
    load: async () => (await import("../commands/doctor.ts")).doctor,
  },
  schema: {
    runsModels: "never",
    load: async () => (await import("../commands/schema.ts")).schema,
  },
  completion: {
    runsModels: "never",
    load: async () => (await import("../commands/completion.ts")).completion,
  },
  man: {
    runsModels: "never",
    load: async () => (await import("../commands/man.ts")).man,
  },
};

export const FRONTS: Readonly<Record<string, FrontRow>> = {
  "circle-quantizer": {
    summary: "takes the arguments of ONE's circle-quantizer",
    runsModels: "never",
    load: async () => (await import("../drop-in/circle-quantizer.ts")).FRONT,
  },
  "record-minmax": {
    summary: "takes the arguments of ONE's record-minmax",
    runsModels: "always",
    load: async () => (await import("../drop-in/record-minmax.ts")).FRONT,
  },
  "one-quantize": {
    summary: "takes the arguments and the cfg file of ONE's one-quantize, which calls the others",
    runsModels: "always",
    load: async () => (await import("../drop-in/one-quantize.ts")).FRONT,
  },
  "circle-eval-diff": {
    summary: "takes the arguments of ONE's circle-eval-diff",
    runsModels: "always",
    load: async () => (await import("../drop-in/circle-eval-diff.ts")).FRONT,
  },
  "circle-mpqsolver": {
    summary: "takes the arguments of ONE's circle-mpqsolver: which layers get int16",
    runsModels: "always",
    load: async () => (await import("../drop-in/circle-mpqsolver.ts")).FRONT,
  },
  visq: {
    summary: "takes the arguments of ONE's visq: errors of tensors as JSON and as a graph",
    runsModels: "always",
    load: async () => (await import("../drop-in/visq.ts")).FRONT,
  },
  "q-implant": {
    summary: "takes the arguments of ONE's q-implant: parameters and integers from NumPy files",
    runsModels: "never",
    load: async () => (await import("../drop-in/q-implant.ts")).FRONT,
  },
  "fm-equalize": {
    summary: "takes the arguments of ONE's fm-equalize: channels made more alike before quantization",
    runsModels: "always",
    load: async () => (await import("../drop-in/fm-equalize.ts")).FRONT,
  },
};

function rowOf<R>(rows: Readonly<Record<string, R>>, name: string | undefined): R | undefined {
  return name !== undefined && Object.hasOwn(rows, name) ? rows[name] : undefined;
}

/** The front that is meant, by the executable's own name or by the first word, and the words that are for it. */
export function frontFor(
  executable: string,
  words: readonly string[],
): { row: FrontRow; words: readonly string[] } | undefined {
  const byName = rowOf(FRONTS, executable);
  if (byName) return { row: byName, words };
  const row = rowOf(FRONTS, words[0]);
  return row && { row, words: words.slice(1) };
}

/** Whether these words have a model run on samples; undefined where they name no command. */
export function runsModels(executable: string, words: readonly string[]): boolean | undefined {
  const command = words.find((word) => Object.hasOwn(COMMANDS, word));
  const row = frontFor(executable, words)?.row ?? rowOf(COMMANDS, command);
  if (row?.runsModels === "with --data") return words.some((word) => /^--data(=|$)/.test(word));
  return row && row.runsModels === "always";
}

/** All commands, in the order of the help. */
export function allCommands(): Promise<Command[]> {
  return Promise.all(Object.values(COMMANDS).map(({ load }) => load()));
}

/** The commands that these words can be about: one, when the first word that is no option names it, else all. */
export async function commandsFor(words: readonly string[]): Promise<Command[]> {
  const row = rowOf(
    COMMANDS,
    words.find((word) => !word.startsWith("-")),
  );
  return row ? [await row.load()] : allCommands();
}
