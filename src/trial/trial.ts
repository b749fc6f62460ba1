/**
 * The last word has the runtime: a .tflite file is loaded and run once in the LiteRT inside the executable, on made-up inputs.
 *
 *     the file ─▶ all signatures at once ─▶ ran, or refused with an operator's name
 *                  └ LiteRT's bindings cannot (sizes that only the run knows, a trap) ─▶ operator by operator ─▶ ran, or refused
 *
 * In a Worker, whose memory is given back at once unless it is small (calibration/engines.ts). What cannot be tried here (custom operators, a model that is too large for
 * WASM) is no refusal: it is said, and nothing more. A model with variable tensors is run operator by operator at once: LiteRT's WASM build loads
 * none, so operators with a state are taken apart (src/calibration/recurrent), and all others are tried as they are.
 */
import { statSync } from "node:fs";
import { residentMemory } from "../base/memory.ts";
import type { Progress } from "../base/output.ts";
import { sizeText } from "../base/text.ts";
import { keepEngine, takeEngine } from "../calibration/engines.ts";
import type { Failure } from "../calibration/failure.ts";
import { knownShape } from "../calibration/graph-facts.ts";
import type { Shapes } from "../calibration/inputs.ts";
import { keepsState } from "../calibration/instrument.ts";
import { compileLibrary, MEMORY_TEXT } from "../calibration/litert.ts";
import { freeMemory } from "../calibration/pool.ts";
import { BuiltinOperator, byteLength, type Model, nameOf, openModel, TensorType } from "../model/index.ts";
import { startWorker } from "../workers.ts";
import { operatorAt, type Refusal, refusalOf } from "./refusal.ts";
import type { TrialJob, TrialProgress, TrialResult } from "./try-once.ts";

/** What a try says of a file. */
export type Trial =
  | { readonly ran: true }
  /** It could not be tried, or not to its end, and why: a phrase behind "not run in LiteRT: ". */
  | { readonly ran: false; readonly reason: string }
  | { readonly ran: false; readonly refused: Refusal };

/** Bytes of a file, and of its inputs, that WASM's 2 GiB hold beside what XNNPACK packs of it and what activations take. */
export const LARGEST = 0.8e9;
/** LiteRT's memory for a file: the file, its packed weights, and a start. */
const needOf = (size: number) => 2 * size + 60e6;

export interface TrialOptions {
  /** Told while it runs: operators, where they are run one by one; else nothing but that it does. */
  readonly onProgress?: Progress;
  /** Shapes of the inputs, where the model leaves them open and samples tell. */
  readonly shapes?: Shapes;
  /** Bytes that the process may have resident; by default what is free. */
  readonly memoryLimit?: number;
}

/**
 * Runs a .tflite file once. Never throws for anything that
 * LiteRT says; throws a MinmaxqError for a file that is none.
 */
export async function tryModel(
  path: string,
  { shapes, memoryLimit, onProgress = () => {} }: TrialOptions = {},
): Promise<Trial> {
  const { size } = statSync(path);
  if (size > LARGEST) return notRun(`it has ${sizeText(size)}, and ${MEMORY_TEXT}`);
  const resident = residentMemory();
  if (memoryLimit !== undefined && resident + needOf(size) > memoryLimit)
    return notRun(
      `it needs ${sizeText(needOf(size))} of memory beside what is in use, more than --memory-limit leaves`,
    );
  if (needOf(size) > freeMemory()) return notRun(`it needs ${sizeText(needOf(size))} of memory, which are not free`);
  const opened = openModel(path);
  try {
    const { model } = opened;
    const reason = cannotBeTried(model);
    if (reason !== undefined) return notRun(reason);
    return await trialOf(model, path, onProgress, shapes);
  } finally {
    opened.close();
  }
}

async function trialOf(model: Model, path: string, onProgress: Progress, shapes?: Shapes): Promise<Trial> {
  const library = await compileLibrary(false);
  const state = variableOf(model);
  if (state !== undefined) return stateTrial(model, { path, library, steps: { shapes } }, state, onProgress);
  const whole = await runJob({ path, library }, onProgress, mayNotEnd(model) ? PATIENCE : undefined);
  if (whole === undefined) return notRun(`it has not ended after ${PATIENCE / 1000} s; a WHILE of it may never end`);
  if (!whole.failure) return RAN;
  const { reason } = whole.failure;
  const custom = customOperator(reason);
  if (custom !== undefined) return notRun(`it has custom operators (${custom})`);
  if (isLackOfMemory(reason, whole)) return notRun("LiteRT's WASM memory of 2 GiB is too small for it");
  const open = openInputs(model);
  const refused = refusalOf(model, reason);
  if (open.length === 0 && refused.operator !== undefined) return judged(refused, reason);
  if (open.length > 0 && !shapes) return notRun(`${open.join(", ")}: sizes that the model leaves open`);
  const steps = (await runJob({ path, library, steps: { shapes } }, onProgress))!;
  if (!steps.failure) return RAN;
  return stepTrial(model, steps.failure);
}

/** Milliseconds that a model with a loop may run as a whole; LiteRT cannot be asked to stop. Operator by operator has a limit of its own. */
const PATIENCE = 60_000;

/** Whether a subgraph is run as often as values say. */
function mayNotEnd({ operatorCodes = [] }: Model): boolean {
  return operatorCodes.some(({ builtinCode }) => LOOPS.has(builtinCode));
}

const LOOPS: ReadonlySet<BuiltinOperator | undefined> = new Set([
  BuiltinOperator.WHILE,
  BuiltinOperator.STABLEHLO_WHILE,
]);

const RAN: Trial = { ran: true };
const notRun = (reason: string): Trial => ({ ran: false, reason });

/** A model that keeps a state in `state`. */
async function stateTrial(model: Model, job: TrialJob, state: string, onProgress: Progress): Promise<Trial> {
  const unloaded = `LiteRT's WASM build loads no variable tensors ("${state}")`;
  if (openInputs(model).length > 0 && !job.steps?.shapes) return notRun(unloaded);
  const { failure } = (await runJob(job, onProgress))!;
  if (!failure) return notRun(`${unloaded}; all operators without a state ran one by one`);
  const place = failure.place === undefined ? undefined : operatorAt(model, failure.place);
  return place && keepsState(place.operator, place.graph) ? notRun(unloaded) : stepTrial(model, failure);
}

function stepTrial(model: Model, { reason, place }: Failure): Trial {
  const refused = refusalOf(model, reason, place);
  const custom = customOperator(reason);
  if (custom !== undefined) return notRun(`it has custom operators (${custom})`);
  // Without a place it is the interpreter that cannot, not LiteRT.
  return place === undefined ? notRun(refused.said) : judged(refused, reason);
}

/** What cannot be prepared is refused whatever is fed; what stops while it runs may do so for made-up inputs alone. */
function judged(refused: Refusal, reason: string): Trial {
  const values = /failed to invoke/i.test(reason) && !/\btype\b|types\b|not supported|unsupported/i.test(reason);
  return values
    ? notRun(`it loads, but made-up inputs stop ${refused.operator}: ${refused.said}`)
    : { ran: false, refused };
}

function cannotBeTried({ subgraphs = [] }: Model): string | undefined {
  for (const { tensors = [], inputs = [] } of subgraphs) {
    let all = 0;
    for (const index of inputs) {
      const tensor = tensors[index]!;
      const { type = TensorType.FLOAT32, name = "" } = tensor;
      if (STRANGE.has(type)) return `input "${name}" is ${nameOf(TensorType, type)}`;
      // Made-up inputs lie in this process's memory, too, of which a few bytes of a file must not decide.
      all += byteLength(type, knownShape(tensor)) ?? 0;
      if (all > LARGEST) return `its inputs have ${sizeText(all)}, and ${MEMORY_TEXT}`;
    }
  }
  return undefined;
}

/** The first variable tensor's name. */
function variableOf({ subgraphs = [] }: Model): string | undefined {
  const found = subgraphs.flatMap(({ tensors = [] }) => tensors).find(({ isVariable }) => isVariable);
  return found && (found.name ?? "");
}

/** Types of inputs that no numbers stand for. */
const STRANGE: ReadonlySet<TensorType> = new Set([TensorType.STRING, TensorType.RESOURCE, TensorType.VARIANT]);

function openInputs({ subgraphs = [] }: Model): string[] {
  const { tensors = [], inputs = [] } = subgraphs[0] ?? {};
  return Array.from(inputs).flatMap((index) => {
    const { shape = new Int32Array(), shapeSignature = shape, name = "" } = tensors[index]!;
    // An open batch is 1 and leaves nothing open.
    return shapeSignature.some((dim, axis) => dim < 0 && (axis > 0 || shapeSignature.length === 1))
      ? [`input "${name}"`]
      : [];
  });
}

/** The custom operator that LiteRT does not know. */
function customOperator(reason: string): string | undefined {
  const custom = /unresolved custom op: '?([^\s';]+?)'?\.?(?:;|\s|$)/.exec(reason)?.[1];
  if (custom !== undefined) return custom;
  return /Select TensorFlow op|Flex delegate/.test(reason) ? (/\((Flex\w+)\)/.exec(reason)?.[1] ?? "Flex") : undefined;
}

function isLackOfMemory(reason: string, { memory }: TrialResult): boolean {
  return /no memory|bad_alloc|out of memory|Cannot enlarge/i.test(reason) || memory > 1.6e9;
}

/** Milliseconds between two looks at how far it is. */
const TELL_EVERY = 250;

/** Runs a job in a Worker that ends with it. Undefined where it has not ended within `patience` milliseconds. */
function runJob(job: TrialJob, onProgress: Progress, patience?: number): Promise<TrialResult | undefined> {
  // What runs operator by operator may draw by chance, and begins where nothing has drawn before.
  const worker = job.steps ? startWorker("engine") : takeEngine();
  let memory: number | undefined;
  let onClose = () => {};
  let at: TrialProgress = { done: 0, total: 1 };
  const timer = setInterval(() => onProgress(at.done, at.total), TELL_EVERY);
  let end: Timer | undefined;
  const result = new Promise<TrialResult | undefined>((resolve) => {
    if (patience !== undefined) end = setTimeout(() => resolve(undefined), patience);
    const failed = (reason: string) => resolve({ failure: { reason }, prepared: false, memory: 0 });
    worker.onmessage = ({ data }: MessageEvent<TrialResult | TrialProgress>) => {
      if ("done" in data) at = data;
      else {
        if (!data.failure) memory = data.memory;
        resolve(data);
      }
    };
    worker.onerror = (event: ErrorEvent) => {
      event.preventDefault?.();
      failed(`LiteRT crashed: ${event.message || "no reason given"}`);
    };
    onClose = () => failed("LiteRT crashed (out of memory?)");
    worker.addEventListener("close", onClose);
    worker.postMessage({ kind: "try", job });
  });
  return result.finally(() => {
    clearInterval(timer);
    clearTimeout(end);
    onProgress(at.total, at.total);
    worker.removeEventListener("close", onClose);
    if (memory !== undefined && !job.steps) keepEngine(worker, memory);
    else worker.terminate();
  });
}
