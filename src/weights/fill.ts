/**
 * THE WEIGHT STREAM: computes every pending constant of a model while its file is written.
 *
 *     file ─ readSync ─▶ WASM memory ─ kernels ─▶ WASM memory ─ writeSync ─▶ new file
 *
 * Constants are cut into pieces (src/weights/tasks.ts) that all cores share (threads.ts). Biases follow, because they need the
 * weights' scales.
 */
import { MinmaxqError, Problems } from "../errors.ts";
import { isPending, type PendingConstant } from "../graph/export.ts";
import type { FillTarget, Placed } from "../model/index.ts";
import { timed } from "../timings.ts";
import { wholeTensor } from "./constant.ts";
import { bytesOf, problemOf, problemOfNonFinite, setParameters } from "./encode.ts";
import { loadFloats } from "./floats.ts";
import { type KernelStream, loadKernels } from "./kernels.ts";
import { piecesOf } from "./pieces.ts";
import { type Job, jobOf, rangesFound, tasksOf } from "./tasks.ts";
import { endThreads, share, shareable, threadsAllowed, threadsFor } from "./threads.ts";

/** Writes every pending constant to its place. Throws one MinmaxqError for all constants with unusable values. */
export function fillConstants(target: FillTarget, placed: Placed[], threads = threadsAllowed()): Promise<void> {
  const bytes = placed.reduce((sum, { content }) => sum + content.length, 0);
  return timed("stream", () => fillAll(target, placed, threads).finally(endThreads), bytes);
}

async function fillAll(target: FillTarget, placed: Placed[], most: number): Promise<void> {
  const problems = new Problems();
  const { stream } = loadKernels();
  const pending = placed.map(({ content, offset }) => {
    if (!isPending(content)) throw new Error("a deferred buffer that is no constant");
    return { ...(content as PendingConstant), offset };
  });
  const isBias = ({ constant }: PendingConstant) => constant.kind === "encoded" && constant.encoding.rule === "bias";
  const jobs = pending
    .filter((each) => !isBias(each))
    .map(({ name, constant, offset }) => jobOf(name, constant, offset))
    .filter((job) => job !== null);
  // What lies in memory stays in this thread.
  for (const some of [jobs.filter(isShareable), jobs.filter((job) => !isShareable(job))]) {
    const bytes = some.reduce((sum, { constant }) => sum + bytesRead(constant), 0);
    const threads = some.some(isShareable) ? threadsFor(bytes, most) : 1;
    const apart = some.filter(({ found }) => found);
    await share("scan", apart, tasksOf(apart), target, threads, stream, problems);
    const usable = some
      .map((job) => (job.found ? takeFound(stream, job, problems) : job))
      .filter((job) => job !== null);
    await share("write", usable, tasksOf(usable), target, threads, stream, problems);
  }
  for (const each of pending.filter(isBias)) fillBias(stream, target, each, problems);
  problems.throwIfAny("constants that cannot be quantized");
}

const isShareable = ({ constant }: Job) => shareable(constant);

/** Bytes that are read of a constant. */
function bytesRead(constant: Job["constant"]): number {
  return constant.kind === "stored" ? constant.length : bytesRead(constant.of);
}

/** The job of a constant that was scanned apart, with its parameters set; null when its values are unusable. */
function takeFound(stream: KernelStream, job: Job, problems: Problems): Job | null {
  const { name, constant } = job;
  if (constant.kind !== "encoded" || constant.encoding.rule !== "scan")
    throw new Error(`"${name}" was not to be scanned`);
  const ranges = rangesFound(job);
  const problem = problemOf(name, ranges);
  if (problem) {
    problems.add(problem);
    return null;
  }
  const { symmetric, limit, parameters } = constant.encoding;
  stream.scoped(() => setParameters(parameters, stream.parameters(ranges.mins, ranges.maxs, symmetric, limit), 0));
  return { ...job, known: ranges };
}

/** Bias scales and values (§3.6), once the weights' scales are there. Of unusable values nothing is computed. */
function fillBias(
  stream: KernelStream,
  target: FillTarget,
  { name, constant, offset }: PendingConstant & { offset: number },
  problems: Problems,
): void {
  if (constant.kind !== "encoded" || constant.encoding.rule !== "bias" || constant.count === 0) return;
  const { wide, inputScale, weights, quant, onOverflow } = constant.encoding;
  stream.scoped(() => {
    const all = piecesOf(wholeTensor(constant.count), constant.count)[0]!;
    const values = loadFloats(stream, constant.of, all);
    const { min, max, nans } = stream.minmax(values);
    const problem = problemOfNonFinite(name, { mins: Float32Array.of(min), maxs: Float32Array.of(max), nans });
    if (problem) problems.add(problem);
    if (problems.lines.length > 0) return;
    const [scales, integers, overflowed] = wide
      ? stream.biaslong(values, inputScale, weights.scale)
      : stream.bias(values, inputScale, weights.scale);
    if (scales.length !== quant.scale.length)
      throw new MinmaxqError(`a bias of ${quant.scale.length} scales got ${scales.length}`);
    quant.scale.set(scales);
    if (overflowed > 0) onOverflow(overflowed);
    target.write(bytesOf(integers), offset);
  });
}
