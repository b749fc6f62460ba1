/**
 * Counting values in bins that are the same for all data: a bin is what is left of a float32 without its last 13 bits,
 * so each octave (sign and exponent) is cut into 1024 equal bins.
 *
 * Nothing about the bins depends on the data, so counts of parts add up to the counts of the whole, in any order. Only
 * octaves that occur have memory: `pages` says where.
 */
import { demand, reserve } from "./memory";

/** 2 signs × 256 exponents. */
const OCTAVES: usize = 512;
const BINS_IN_OCTAVE: u32 = 1024;

const INFINITE: u32 = 0x7f800000;
const LARGEST: u32 = 0x7f7fffff;
const LOWEST: u32 = 0xff7fffff;

/**
 * Adds to `counts` in place (u32; whoever calls sees to it that none overflows). NaN and -FLT_MAX are passed over
 * (reference §7.3). → (counts, how many values were dealt with): less than all when the next one's octave has no page.
 */
export function histogram(
  values: usize,
  count: usize,
  pages: usize,
  pageCount: usize,
  counts: usize,
  countCount: usize,
): usize {
  demand(pageCount == OCTAVES);
  for (let octave: usize = 0; octave < OCTAVES; octave++) {
    const page = load<i32>(pages + (octave << 2));
    demand(page < 0 || <u64>page + <u64>BINS_IN_OCTAVE <= <u64>countCount);
  }
  let i: usize = 0;
  for (; i < count; i++) {
    const bits = load<u32>(values + (i << 2));
    const magnitude = bits & 0x7fffffff;
    // One branch that is hardly ever taken for the three things that are.
    if (magnitude >= LARGEST && (bits == LOWEST || magnitude > INFINITE)) continue;
    const page = load<i32>(pages + (<usize>(bits >>> 23) << 2));
    if (page < 0) break;
    const bin = counts + (<usize>(<u32>page + ((bits >>> 13) & (BINS_IN_OCTAVE - 1))) << 2);
    store<u32>(bin, load<u32>(bin) + 1);
  }
  const area = reserve(12);
  store<u32>(area, <u32>counts);
  store<u32>(area, <u32>countCount, 4);
  store<u32>(area, <u32>i, 8);
  return area;
}
