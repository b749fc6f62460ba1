/**
 * THE WEIGHT STREAM: computes every pending constant of a model while its file is written.
 *
 *     file ─ readSync ─▶ WASM memory ─ kernels ─▶ WASM memory ─ writeSync ─▶ new file
 *
 * Constants are cut into pieces (src/weights/tasks.ts) that all cores share (threads.ts). Biases follow, because they need the
 * weights' scales.
 *
 * BEGINNING EARLY: a Worker may take weights while the main thread still runs passes and encodes tables.
 *
 *     main     open ─ import ─▶ begin ─ passes ─ export ─ tables ─▶ takes part in what is left ─ biases ─ verify
 *     Worker                      └────▶ weights ▶ file ──────────────────────────────────────┘
 *
 * What becomes of a weight is known long before the rest of its file. Its description is made once, early, and the pass that decides
 * finds that one (`shared` in passes/context.ts). Its place is planned (model/layout.ts), behind room for the tables. Where
 * passes decide otherwise, or the room is too small, all is done as if nothing had been begun. That depends on the model and the
 * options alone, so the number of threads cannot show. Weights that have to be scanned first need no place for that.
 */
import { MinmaxqError, Problems } from "../base/errors.ts";
import type { Progress } from "../base/output.ts";
import { timed } from "../base/timings.ts";
import type { FillInto, FillTarget, Placed } from "../model/index.ts";
import type { Constant } from "./constant.ts";
import { bytesOf, problemOf, problemOfNonFinite, setParameters } from "./encode.ts";
import { loadFloats } from "./floats.ts";
import { type Block, giveKernels, type KernelStream, takeKernels } from "./kernels.ts";
import { isPending, type PendingConstant } from "./pending.ts";
import { isBiasConstant, raiseScales } from "./raise.ts";
import { bytesRead, type Filling, fillingOf, rangesFound } from "./tasks.ts";
import { Sharing, shareable, Threads, threadsAllowed, threadsFor, type Unusable, type Work } from "./threads.ts";

/** Writes every pending constant to its place. Throws one MinmaxqError for all constants with unusable values. */
export function fillConstants(target: FillInto, placed: Placed[], threads?: number): Promise<void> {
  return new WeightStream(threads).fill(target, placed);
}

/**
 * The weight stream of one output: its threads, and the work that was begun for it. A file beside it (a copy for LiteRT to run) has its own
 * stream, so what is filled there takes nothing from what was begun here.
 */
export class WeightStream {
  private readonly threads = new Threads();
  private begun: Sharing | undefined;

  /** `most`: how many threads may work, this one among them. */
  constructor(
    private readonly most = threadsAllowed(),
    /** Makes a bar of bytes read, where it takes long. */
    private readonly progress?: (what: string, unit: "bytes") => Progress,
  ) {}

  /** Starts a Worker before the tables of a large file are read, so that it is up when the weights come. */
  startEarly(path: string): void {
    if (!this.threads.isOneIdle && threadsFor(Bun.file(path).size, this.most) > 1) this.threads.start();
  }

  /**
   * Gives fillings to the Worker that was started early, and says whether there is one: without it nothing is begun, and `fill` does
   * all. `output` is the file under way; scans need none. Once per stream.
   */
  begin(work: Work, fillings: readonly Filling[], output?: string): boolean {
    if (this.begun) throw new Error("the weight stream has begun already");
    if (!this.threads.isOneIdle) return false;
    const begun = new Sharing(this.threads, work, fillings, output);
    begun.ask(2);
    if (!begun.isShared) return false;
    this.begun = begun;
    return true;
  }

  /** Writes every pending constant to its place, and ends the threads. Throws one MinmaxqError for all constants with unusable values. */
  fill(target: FillInto, placed: Placed[]): Promise<void> {
    const bytes = placed.reduce((sum, { content }) => sum + content.length, 0);
    return timed("stream", () => this.fillAll(target, placed).finally(() => this.threads.end()), bytes);
  }

  /** Stops what was begun and not filled, and ends the threads. Call it when the run is over, however it ended. */
  async close(): Promise<void> {
    await this.stop();
    this.threads.end();
  }

  /** The begun work, if all of it is `wanted` and goes to the file that is written. Work that is not wanted is stopped. */
  private async takeBegun(target: FillTarget, wanted: ReadonlySet<Constant>): Promise<Sharing | undefined> {
    const begun = this.begun;
    const isWanted =
      (begun?.output === undefined || begun.output === target.path) &&
      begun?.fillings.every(({ constant }) => wanted.has(constant));
    if (!isWanted) {
      await this.stop();
      return undefined;
    }
    this.begun = undefined;
    return begun;
  }

  private async stop(): Promise<void> {
    const stopped = this.begun;
    this.begun = undefined;
    await stopped?.stop();
  }

  private async fillAll(target: FillInto, placed: Placed[]): Promise<void> {
    const { threads, most } = this;
    const problems = new Problems();
    const kernels = takeKernels();
    const { stream } = kernels;
    const pending = placed.map(({ content, offset }) => {
      if (!isPending(content)) throw new Error("a deferred buffer that is no constant");
      return { content, offset };
    });
    const write = (bytes: Uint8Array, offset: number) => target.write(bytes, offset);
    const early = await this.takeBegun(target, new Set(pending.map(({ content }) => content.constant)));
    const begun = new Map(early?.fillings.map((filling) => [filling.constant, filling]));
    const fillings: Filling[] = [];
    const biases: PendingConstant[] = [];
    const scales = new Map<Constant, number>();
    for (const { content, offset } of pending)
      if (content.constant.kind === "block scales") scales.set(content.constant.of, offset);
    for (const { content, offset } of pending) {
      const { name, constant } = content;
      if (constant.kind === "block scales") continue;
      if (isBias(content)) biases.push(content);
      else if (constant.count > 0 && !(early?.work === "write" && begun.has(constant)))
        fillings.push({
          ...(begun.get(constant) ?? fillingOf(name, constant, offset)),
          offset,
          scalesOffset: scales.get(constant),
        });
    }
    // All told in the order of the file, whichever thread found them.
    const unusable: Unusable[] = [];
    const total = bytesRead(fillings) + (early?.work === "write" ? bytesRead(early.fillings) : 0);
    const told = this.progress?.("writing weights", "bytes");
    let before = 0;
    const share = async (sharing: Sharing, count: number) => {
      sharing.ask(count);
      const isWriting = sharing.work === "write";
      unusable.push(
        ...(await sharing.join(stream, write, told && isWriting ? (done) => told(before + done, total) : undefined)),
      );
      if (isWriting) before += bytesRead(sharing.fillings);
    };
    if (early) await share(early, most);
    // What lies in memory stays in this thread.
    for (const some of [fillings.filter(isShareable), fillings.filter((filling) => !isShareable(filling))]) {
      const count = some.some(isShareable) && target.path !== undefined ? threadsFor(bytesRead(some), most) : 1;
      const apart = some.filter(({ found, constant }) => found && !begun.has(constant));
      await share(new Sharing(threads, "scan", apart, target.path), count);
      const usable = some
        .map((filling) => (filling.found ? takeFound(stream, filling, unusable) : filling))
        .filter((filling) => filling !== null);
      await share(new Sharing(threads, "write", usable, target.path), count);
    }
    // Weights are shared in memory or on files; what is encoded again is encoded here, since it is little.
    const again =
      unusable.length === 0 ? raiseScales(stream, biases.map(({ constant }) => constant).filter(isBiasConstant)) : null;
    if (again && again.size > 0) {
      const redone = pending.flatMap(({ content: { name, constant }, offset }) => {
        const known = again.get(constant);
        const { found: _, ...filling } = fillingOf(name, constant, offset);
        return known ? [{ ...filling, known }] : [];
      });
      await share(new Sharing(threads, "write", redone, target.path), 1);
    }
    told?.(total, total);
    for (const { text } of unusable.sort((a, b) => a.offset - b.offset)) problems.add(text);
    for (const each of biases) fillBias(stream, target, each, problems);
    problems.throwIfAny("constants that cannot be quantized");
    giveKernels(kernels);
  }
}

function isBias({ constant }: PendingConstant): boolean {
  return isBiasConstant(constant);
}

const isShareable = ({ constant }: Filling) => shareable(constant);

/** The filling of a constant that was scanned apart, with its parameters set; null when its values are unusable. */
function takeFound(stream: KernelStream, filling: Filling, unusable: Unusable[]): Filling | null {
  const { name, constant } = filling;
  if (constant.kind !== "encoded" || constant.encoding.rule !== "scan")
    throw new Error(`"${name}" was not to be scanned`);
  const ranges = rangesFound(filling);
  const text = problemOf(name, ranges);
  if (text) {
    unusable.push({ offset: filling.offset, text });
    return null;
  }
  const { quantizer, parameters } = constant.encoding;
  const known = stream.scoped(() => stream.parameters(ranges.mins, ranges.maxs, quantizer));
  setParameters(parameters, known, 0);
  return { ...filling, known };
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
