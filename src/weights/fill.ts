/**
 * THE WEIGHT STREAM: computes every pending constant of a model while its file is written.
 *
 *     file ─ readSync ─▶ WASM memory ─ kernels ─▶ WASM memory ─ writeSync ─▶ new file
 *
 * Constants are cut into pieces (src/weights/tasks.ts) that all cores share (threads.ts). Biases follow, because they need the
 * weights' scales.
 */
import { MinmaxqError, Problems } from "../base/errors.ts";
import { timed } from "../base/timings.ts";
import { isPending, type PendingConstant } from "../graph/export.ts";
import type { FillInto, Placed } from "../model/index.ts";
import { takeEarly } from "./early.ts";
import { bytesOf, problemOf, problemOfNonFinite, setParameters } from "./encode.ts";
import { loadFloats } from "./floats.ts";
import { type Block, type KernelStream, loadKernels } from "./kernels.ts";
import { bytesRead, type Job, jobOf, rangesFound } from "./tasks.ts";
import { endThreads, Sharing, shareable, threadsAllowed, threadsFor, type Unusable } from "./threads.ts";

/** Writes every pending constant to its place. Throws one MinmaxqError for all constants with unusable values. */
export function fillConstants(target: FillInto, placed: Placed[], threads = threadsAllowed()): Promise<void> {
  const bytes = placed.reduce((sum, { content }) => sum + content.length, 0);
  return timed("stream", () => fillAll(target, placed, threads).finally(endThreads), bytes);
}

async function fillAll(target: FillInto, placed: Placed[], most: number): Promise<void> {
  const problems = new Problems();
  const { stream } = loadKernels();
  const pending = placed.map(({ content, offset }) => {
    if (!isPending(content)) throw new Error("a deferred buffer that is no constant");
    return { content, offset };
  });
  const write = (bytes: Uint8Array, offset: number) => target.write(bytes, offset);
  const early = await takeEarly(target, new Set(pending.map(({ content }) => content.constant)));
  const begun = new Map(early?.jobs.map((job) => [job.constant, job]));
  const jobs: Job[] = [];
  const biases: PendingConstant[] = [];
  for (const { content, offset } of pending) {
    const { name, constant } = content;
    if (isBias(content)) biases.push(content);
    else if (constant.count > 0 && !(early?.work === "write" && begun.has(constant)))
      jobs.push({ ...(begun.get(constant) ?? jobOf(name, constant, offset)), offset });
  }
  // All told in the order of the file, whoever found them.
  const unusable: Unusable[] = [];
  const share = async (sharing: Sharing, threads: number) => {
    sharing.ask(threads);
    unusable.push(...(await sharing.join(stream, write)));
  };
  if (early) await share(early, most);
  // What lies in memory stays in this thread.
  for (const some of [jobs.filter(isShareable), jobs.filter((job) => !isShareable(job))]) {
    const threads = some.some(isShareable) && target.path !== undefined ? threadsFor(bytesRead(some), most) : 1;
    const apart = some.filter(({ found, constant }) => found && !begun.has(constant));
    await share(new Sharing("scan", apart, target.path), threads);
    const usable = some
      .map((job) => (job.found ? takeFound(stream, job, unusable) : job))
      .filter((job) => job !== null);
    await share(new Sharing("write", usable, target.path), threads);
  }
  for (const { text } of unusable.sort((a, b) => a.offset - b.offset)) problems.add(text);
  for (const each of biases) fillBias(stream, target, each, problems);
  problems.throwIfAny("constants that cannot be quantized");
}

function isBias({ constant }: PendingConstant): boolean {
  return constant.kind === "encoded" && constant.encoding.rule === "bias";
}

const isShareable = ({ constant }: Job) => shareable(constant);

/** The job of a constant that was scanned apart, with its parameters set; null when its values are unusable. */
function takeFound(stream: KernelStream, job: Job, unusable: Unusable[]): Job | null {
  const { name, constant } = job;
  if (constant.kind !== "encoded" || constant.encoding.rule !== "scan")
    throw new Error(`"${name}" was not to be scanned`);
  const ranges = rangesFound(job);
  const text = problemOf(name, ranges);
  if (text) {
    unusable.push({ offset: job.offset, text });
    return null;
  }
  const { symmetric, limit, parameters } = constant.encoding;
  const known = stream.scoped(() => stream.parameters(ranges.mins, ranges.maxs, symmetric, limit));
  setParameters(parameters, known, 0);
  return { ...job, known };
}

/** Bias scales and values (§3.6), once the weights' scales are there. Of unusable values nothing is computed. */
function fillBias(stream: KernelStream, target: FillInto, content: PendingConstant, problems: Problems): void {
  const { name, constant } = content;
  if (constant.kind !== "encoded" || constant.encoding.rule !== "bias" || constant.count === 0) return;
  const { wide, inputScale, weights, quant, onOverflow } = constant.encoding;
  stream.scoped(() => {
    const { count } = constant;
    const values = loadFloats(stream, constant.of, { first: 0, count, channel: 0, channels: 1, inner: count });
    const compute = () =>
      wide ? stream.biaslong(values, inputScale, weights.scale) : stream.bias(values, inputScale, weights.scale);
    const computed = problems.lines.length === 0 ? compute() : null;
    // What is no number does not fit either: only biases with such values are looked at once more.
    const problem = computed?.[2] === 0 ? null : problemOfBias(stream, name, values);
    if (problem) problems.add(problem);
    if (!computed || problem) return;
    const [scales, integers, overflowed] = computed;
    if (scales.length !== quant.scale.length)
      throw new MinmaxqError(`a bias of ${quant.scale.length} scales got ${scales.length}`);
    quant.scale.set(scales);
    if (overflowed > 0) onOverflow(overflowed);
    target.keep(content, bytesOf(integers));
  });
}

function problemOfBias(stream: KernelStream, name: string, values: Block): string | null {
  const { min, max, nans } = stream.minmax(values);
  return problemOfNonFinite(name, { mins: Float32Array.of(min), maxs: Float32Array.of(max), nans });
}
