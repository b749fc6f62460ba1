/** Pieces that become something else than integers with parameters in the tables: blocks with float16 scales, and float16 values. */
import { timed } from "../base/timings.ts";
import type { Constant } from "./constant.ts";
import { BLOCK_LIMIT, bytesOf, type Destination, problemOfFound } from "./encode.ts";
import { loadFloats } from "./floats.ts";
import type { KernelStream } from "./kernels.ts";
import type { Sink } from "./output.ts";
import { blocksOf, type Piece } from "./pieces.ts";

/** Bytes of a float16. */
const HALF = 2;

/**
 * As streamPiece (encode.ts), for the rule `blocks`: integers go to `to`, and the piece's scales, when it is done, to the sink of
 * `scalesTo`, the constant's first one to its offset. So the output is written in long runs.
 */
export function streamBlocks(
  stream: KernelStream,
  name: string,
  constant: Constant & { kind: "encoded" },
  piece: Piece,
  to: Destination,
  scalesTo: { readonly sink: Sink; readonly offset: number },
): string | null {
  const { encoding } = constant;
  if (encoding.rule !== "blocks") throw new Error(`"${name}" has no blocks`);
  const { quantizer } = encoding;
  const found = new Uint16Array(piece.channels);
  for (const block of blocksOf(piece, BLOCK_LIMIT, false)) {
    const problem = stream.scoped(() => {
      const bytes = block.count * 4;
      const values = timed("read", () => loadFloats(stream, constant.of, block), bytes, name);
      const encode = () => stream.blocks(values, block.inner, quantizer.high);
      const { integers, scales, nans, infinite } = timed("scan and encode", encode, bytes, name);
      found.set(scales, block.channel - piece.channel);
      to.sink.add(bytesOf(integers) as Uint8Array<ArrayBuffer>, to.offset + block.first * to.size);
      return problemOfFound(name, nans, infinite);
    });
    if (problem) return problem;
  }
  scalesTo.sink.add(bytesOf(found), scalesTo.offset + piece.channel * HALF);
  return null;
}

/** Rounds a piece to float16, the constant's first element to `offset` of the sink, and counts what was too large. */
export function streamHalves(
  stream: KernelStream,
  name: string,
  constant: Constant & { kind: "halved" },
  piece: Piece,
  sink: Sink,
  offset: number,
): void {
  for (const block of blocksOf(piece, BLOCK_LIMIT, true)) {
    stream.scoped(() => {
      const bytes = block.count * 4;
      const values = timed("read", () => loadFloats(stream, constant.of, block), bytes, name);
      const at = offset + block.first * HALF;
      const room = sink.room(block.count * HALF, at);
      const encode = () => stream.tohalf(values);
      const { halves, overflowed } = timed("encode", () => (room ? stream.into(room, encode) : encode()), bytes, name);
      if (!room) sink.add(bytesOf(halves), at);
      if (overflowed > 0) Atomics.add(constant.overflowed, 0, overflowed);
    });
  }
}
