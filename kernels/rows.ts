/**
 * Short channels row by row: each element of a row has parameters of its own, which lie in lists as long as the row.
 *
 * Interleaved channels ([outer, channels, 1]) are such rows as they are; so are channels of a few elements, once each value is
 * repeated. Rows are made longer by repeating the whole, since short ones are mostly tail.
 */
import { reserve } from "./memory";

/** Rows are repeated until there are this many elements. */
const SHORTEST_ROW: usize = 256;
/** Channels whose contiguous part is shorter than this are done row by row. */
const SHORT_INNER: u32 = 16;

/** Whether [outer, channels, inner] is better done in rows; not if filling the lists were a good part of the work. */
export function byRows(outer: usize, channels: u32, inner: u32): bool {
  return channels > 1 && inner < SHORT_INNER && (inner == 1 || outer > 4);
}

/** How many rows are done as one. */
export function repeatsOf(outer: usize, channels: u32, inner: u32): usize {
  const length = <usize>channels * inner;
  return max<usize>(1, min((SHORTEST_ROW + length - 1) / length, outer));
}

/** A list with one value of 32 bits a channel, `step` bytes apart, as a list with one value an element of `repeats` rows. */
export function tiled(list: usize, step: usize, channels: usize, inner: usize, repeats: usize): usize {
  if (step == 4 && inner == 1 && repeats == 1) return list;
  const pointer = reserve((channels * inner * repeats) << 2);
  let at = pointer;
  for (let r: usize = 0; r < repeats; r++) {
    for (let c: usize = 0; c < channels; c++) {
      const value = load<u32>(list + c * step);
      for (let i: usize = 0; i < inner; i++) {
        store<u32>(at, value);
        at += 4;
      }
    }
  }
  return pointer;
}
