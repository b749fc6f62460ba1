/**
 * THE CHECKS of `minmaxq doctor`: what a run needs of its machine, each tried as a run would use it. A check that throws has failed, and what
 * it throws says what to do.
 */
import { mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import pkg from "../../package.json" with { type: "json" };
import { MinmaxqError, reasonOf } from "../base/errors.ts";
import { TEMPORARY_FOLDER } from "../base/platform.ts";
import { sizeText } from "../base/text.ts";
import { freeMemory, unusedMemory } from "../calibration/pool.ts";
import { refusalText } from "../trial/refusal.ts";
import { tryModel } from "../trial/trial.ts";
import { loadKernels } from "../weights/kernels.ts";
import { threadsAllowed } from "../weights/threads.ts";
import { oneOperatorModel } from "./one-operator.ts";

/** `warning`: works, but not all of it, or not well. */
export interface Finding {
  readonly state: "ok" | "warning" | "failed";
  readonly text: string;
  /** What to do; absent where nothing is wrong. */
  readonly remedy?: string;
}

export interface Check {
  readonly name: string;
  run(): Finding | Promise<Finding>;
}

const ok = (text: string): Finding => ({ state: "ok", text });
const warning = (text: string, remedy: string): Finding => ({ state: "warning", text, remedy });
const failed = (text: string, remedy: string): Finding => ({ state: "failed", text, remedy });

/** Below this a small model's run can fail; below the second one samples run slowly, in parts. */
const LEAST_MEMORY = 150e6;
const LITTLE_MEMORY = 500e6;
/** Room for tensors between parts. */
const LITTLE_DISK = 1e9;

/** Instructions of the CPU that matter here, as /proc/cpuinfo calls them. */
const INSTRUCTIONS = ["sse4_2", "avx", "avx2", "fma", "avx512f", "asimd", "asimddp", "sve"];

export const CHECKS: readonly Check[] = [
  { name: "version", run: () => ok(`minmaxq ${pkg.version}, Bun ${Bun.version}`) },
  { name: "platform", run: () => ok(`${process.platform} ${process.arch}, ${release()}`) },
  { name: "processor", run: processor },
  { name: "cores", run: cores },
  { name: "memory", run: memory },
  { name: "temporary files", run: temporaryFiles },
  { name: "kernels", run: kernels },
  { name: "LiteRT", run: runLiteRT },
  { name: "queue", run: queue },
];

/** Runs a check; whatever it throws is its finding. */
export async function find({ run }: Check): Promise<Finding> {
  try {
    return await run();
  } catch (error) {
    const remedy = error instanceof MinmaxqError ? "see above" : "report it with this output";
    return failed(reasonOf(error), remedy);
  }
}

function processor(): Finding {
  let text = "";
  try {
    text = readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    // Other systems tell it elsewhere; nothing depends on it.
  }
  const model = /^model name\s*: (.*)$/m.exec(text)?.[1] ?? modelOf() ?? process.arch;
  const flags = new Set((/^(?:flags|Features)\s*: (.*)$/m.exec(text)?.[1] ?? "").split(" "));
  const known = INSTRUCTIONS.filter((name) => flags.has(name));
  const fast = hasRelaxedSimd() ? "--fast-math works" : "no --fast-math";
  return ok([model, known.join(" "), fast].filter((part) => part !== "").join("; "));
}

/** Where there is no /proc. */
function modelOf(): string | undefined {
  const model = cpus()[0]?.model.trim();
  return model === undefined || model === "" || model === "unknown" ? undefined : model;
}

/** A module with one relaxed-SIMD instruction (i8x16.relaxed_swizzle): what --fast-math needs of the engine. */
function hasRelaxedSimd(): boolean {
  const head = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0];
  const code = [10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11];
  return WebAssembly.validate(Uint8Array.from([...head, ...code]));
}

function cores(): Finding {
  const count = navigator.hardwareConcurrency;
  const given = process.env.MINMAXQ_THREADS;
  const text = `${count}, ${threadsAllowed()} for weights`;
  if (given === undefined || /^[1-9]\d*$/.test(given)) return ok(text);
  return warning(
    `${text}; MINMAXQ_THREADS is "${given}", which is no number from 1`,
    "unset MINMAXQ_THREADS, or set it to a number",
  );
}

function memory(): Finding {
  const free = freeMemory() / 0.75;
  const limited = process.constrainedMemory();
  const container = limited > 0 && limited < totalmem() ? `, ${sizeText(limited)} allowed` : "";
  const text = `${sizeText(free)} free of ${sizeText(totalmem())}${container}`;
  if (Math.min(free, unusedMemory()) < LEAST_MEMORY)
    return failed(text, "end other programs, or give the container more memory");
  if (free < LITTLE_MEMORY) return warning(text, "expect slow runs in parts; --num-threads 1 takes least");
  return ok(text);
}

function temporaryFiles(): Finding {
  const place = tmpdir();
  const remedy = `set ${TEMPORARY_FOLDER} to a folder that can be written`;
  try {
    const folder = mkdtempSync(join(place, "minmaxq-doctor-"));
    try {
      writeFileSync(join(folder, "file"), new Uint8Array(1 << 16));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  } catch (error) {
    return failed(`${place} cannot be written (${reasonOf(error)})`, remedy);
  }
  const { bavail, bsize } = statfsSync(place);
  const free = bavail * bsize;
  const text = `${place}, ${sizeText(free)} free`;
  return free < LITTLE_DISK
    ? warning(text, `large models that are run in parts need more; set ${TEMPORARY_FOLDER} to another folder`)
    : ok(text);
}

function kernels(): Finding {
  loadKernels();
  return ok("WASM SIMD works");
}

/** The whole way: a file, a Worker, LiteRT's WASM, one operator. */
async function runLiteRT(): Promise<Finding> {
  let folder: string;
  try {
    folder = mkdtempSync(join(tmpdir(), "minmaxq-doctor-"));
  } catch {
    return failed("there is no place for a model to try it with", "mend what is said of temporary files");
  }
  try {
    const path = join(folder, "one-operator.tflite");
    writeFileSync(path, await oneOperatorModel());
    const trial = await tryModel(path);
    if (trial.ran) return ok("loads and runs a model of one operator");
    return failed(
      "refused" in trial ? refusalText(trial.refused) : `does not run: ${trial.reason}`,
      "free memory, or report it with this output",
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Of batches across machines alone. */
async function queue(): Promise<Finding> {
  if (!process.env.MINMAXQ_QUEUE_URL) return ok("MINMAXQ_QUEUE_URL is not set (needed for a queue alone)");
  const { openLink } = await import("../batch/redis.ts");
  try {
    const link = await openLink("env");
    link.close();
    return ok(`${link.shown} answers`);
  } catch (error) {
    return failed(reasonOf(error), "mend MINMAXQ_QUEUE_URL, or start the server; unset it where no queue is used");
  }
}
