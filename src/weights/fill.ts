/**
 * THE WEIGHT STREAM: computes every pending constant of a model while its file is written.
 *
 *     file ─ readSync ─▶ WASM memory ─ kernels ─▶ WASM memory ─ writeSync ─▶ new file
 *
 * Large tensors are cut into pieces and shared by all cores; each thread has its own WASM instance and takes the next
 * piece when it is done with one. Channels that lie together are scanned and encoded in one read. Biases follow, because
 * they need the weights' scales.
 */
import { availableParallelism } from "node:os";
import { MinmaxqError, Problems } from "../errors.ts";
import { isPending, type PendingConstant } from "../graph/export.ts";
import type { FillTarget, Placed } from "../model/index.ts";
import { timed } from "../timings.ts";
import { type Constant, wholeTensor } from "./constant.ts";
import { bytesOf, PIECE_LIMIT, problemOf, scanRanges, setParameters, streamPiece, WHOLE_LIMIT } from "./encode.ts";
import { loadBytes, loadFloats } from "./floats.ts";
import { type KernelStream, loadKernels } from "./kernels.ts";
import { type Piece, piecesAreIndependent, piecesOf } from "./pieces.ts";
import { type SharedJob, sharedJob, type Task, takePieces } from "./share.ts";

/** Below this many bytes of output a second thread costs more than it brings. */
const WORTH_A_WORKER = 32 << 20;

/** Writes every pending constant to its place. Throws one MinmaxqError for all constants with unusable values. */
export function fillConstants(target: FillTarget, placed: Placed[], threads = availableParallelism()): Promise<void> {
  return timed(
    "stream",
    () => fillAll(target, placed, threads),
    placed.reduce((sum, one) => sum + one.content.length, 0),
  );
}

async function fillAll(target: FillTarget, placed: Placed[], threads: number): Promise<void> {
  const problems = new Problems();
  const { stream } = loadKernels();
  const pending = placed.map(({ content, offset }) => {
    if (!isPending(content)) throw new Error("a deferred buffer that is no constant");
    return { pending: content as PendingConstant, offset };
  });
  const isBias = ({ pending: { constant } }: { pending: PendingConstant }) =>
    constant.kind === "encoded" && constant.encoding.rule === "bias";

  const jobs: SharedJob[] = [];
  const tasks: Task[] = [];
  for (const { pending: one, offset } of pending.filter((each) => !isBias(each))) {
    const { constant, name } = one;
    const whole = constant.kind === "encoded" && constant.bytes >= 1;
    const job = whole ? sharedJob(name, constant, offset) : null;
    const pieces = constant.kind === "encoded" ? onePassPieces(constant) : null;
    if (job && pieces && target.path !== undefined) {
      for (const piece of pieces) tasks.push({ job: jobs.length, piece });
      jobs.push(job);
    } else {
      fillHere(stream, target, one, offset, problems);
    }
  }
  await takePieces(jobs, tasks, target, threadsFor(jobs, threads), stream, problems);
  problems.throwIfAny("constants that cannot be quantized");
  for (const { pending: one, offset } of pending.filter(isBias)) fillBias(stream, target, one, offset);
}

function threadsFor(jobs: readonly SharedJob[], threads: number): number {
  const bytes = jobs.reduce((sum, job) => sum + job.constant.length, 0);
  return bytes < WORTH_A_WORKER ? 1 : Math.max(1, Math.min(threads, 8));
}

/** Pieces that need one read each, or null when the constant has to be scanned before it can be encoded. */
function onePassPieces(constant: Constant & { kind: "encoded" }): Piece[] | null {
  const { encoding } = constant;
  if (encoding.rule === "bias") return null;
  const layout = encoding.rule === "propagated" ? wholeTensor(constant.count) : encoding.layout;
  if (encoding.rule !== "scan" || piecesAreIndependent(layout, PIECE_LIMIT)) return piecesOf(layout, PIECE_LIMIT);
  if (constant.count <= WHOLE_LIMIT) return piecesOf(layout, WHOLE_LIMIT);
  return null;
}

/** Everything that is not shared with other threads: floats that stay floats, sparse constants, very large layers. */
function fillHere(
  stream: KernelStream,
  target: FillTarget,
  { constant, name }: PendingConstant,
  offset: number,
  problems: Problems,
): void {
  if (constant.kind !== "encoded") return fillFloats(stream, target, constant, offset);
  const { encoding, bytes } = constant;
  if (encoding.rule === "bias") throw new Error("biases come last");
  let pieces = onePassPieces(constant);
  const scanned = pieces === null;
  if (scanned && encoding.rule === "scan") {
    pieces = piecesOf(encoding.layout, PIECE_LIMIT);
    const ranges = scanRanges(stream, constant.of, encoding.layout);
    const problem = problemOf(name, ranges);
    if (problem) return problems.add(problem);
    setParameters(encoding.parameters, ranges, 0, encoding.symmetric, encoding.limit);
  }
  const packer = bytes < 1 ? new NibblePacker(stream, (view, at) => target.write(view, offset + at)) : null;
  for (const piece of pieces ?? []) {
    const problem = streamPiece(stream, name, constant, piece, !scanned, (view) =>
      packer ? packer.add(view) : target.write(view, offset + piece.first * bytes),
    );
    if (problem) return problems.add(problem);
  }
  packer?.end();
}

/** Packs 4-bit values that come in pieces of any length, in order, two a byte. */
class NibblePacker {
  private left = new Uint8Array(0);
  private at = 0;

  constructor(
    private readonly stream: KernelStream,
    private readonly write: (bytes: Uint8Array, at: number) => void,
  ) {}

  add(values: Uint8Array): void {
    const all = new Int8Array(this.left.length + values.length);
    all.set(this.left);
    all.set(values, this.left.length);
    const even = all.length & ~1;
    this.left = new Uint8Array(all.buffer.slice(even));
    this.pack(all.subarray(0, even));
  }

  end(): void {
    this.pack(new Int8Array(this.left.buffer));
  }

  private pack(values: Int8Array): void {
    if (values.length === 0) return;
    const packed = this.stream.nibbles(this.stream.copyIn(values));
    this.write(packed, this.at);
    this.at += packed.length;
  }
}

/** Descriptions of something else than float32. Pieces of whole tensors begin at even elements, so 4-bit values are not cut. */
const HOLD_BYTES: ReadonlySet<Constant["kind"]> = new Set(["stored", "dense", "shifted", "divided", "nibbles"]);

/** Constants that stay what they describe: float16 seen as float32, sparse ones made dense, fake-quantized ones. */
function fillFloats(stream: KernelStream, target: FillTarget, constant: Constant, offset: number): void {
  const size = constant.kind === "nibbles" ? 0.5 : constant.count === 0 ? 0 : constant.length / constant.count;
  const perChannel = constant.kind === "fake" || constant.kind === "dequantized";
  const layout = perChannel ? constant.layout : wholeTensor(constant.count);
  for (const piece of piecesOf(layout, PIECE_LIMIT)) {
    stream.scoped(() => {
      const block = HOLD_BYTES.has(constant.kind)
        ? loadBytes(stream, constant, piece.first * size, Math.ceil(piece.count * size))
        : loadFloats(stream, constant, piece);
      target.write(block.bytes(), offset + piece.first * size);
    });
  }
}

/** Bias scales and values (§3.6), once the weights' scales are there. */
function fillBias(stream: KernelStream, target: FillTarget, { constant }: PendingConstant, offset: number): void {
  if (constant.kind !== "encoded" || constant.encoding.rule !== "bias" || constant.count === 0) return;
  const { wide, inputScale, weights, quant, onOverflow } = constant.encoding;
  stream.scoped(() => {
    const all = piecesOf(wholeTensor(constant.count), constant.count)[0]!;
    const values = loadFloats(stream, constant.of, all);
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
