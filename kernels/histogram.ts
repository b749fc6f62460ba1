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
const LARGEST: i32 = 0x7f7fffff;
const LOWEST: u32 = 0xff7fffff;

/** Adds one to the bin of `bits` on its octave's page. */
// @ts-ignore: decorator
@inline
function add(counts: usize, page: i32, bits: u32): void {
  const bin = counts + ((<usize>(<u32>page + ((bits >>> 13) & (BINS_IN_OCTAVE - 1)))) << 2);
  store<u32>(bin, load<u32>(bin) + 1);
}

// @ts-ignore: decorator
@inline
function pageOf(pages: usize, bits: u32): i32 {
  return load<i32>(pages + ((<usize>(bits >>> 23)) << 2));
}

/** Adds four values, unless one of them needs looking at: true when it did. */
// @ts-ignore: decorator
@inline
function addFour(at: usize, pages: usize, counts: usize): bool {
  const magnitudes = v128.and(v128.load(at, 0, 1), i32x4.splat(0x7fffffff));
  if (v128.any_true(i32x4.gt_s(magnitudes, i32x4.splat(LARGEST - 1)))) return false;
  const a = load<u32>(at);
  const b = load<u32>(at, 4);
  const c = load<u32>(at, 8);
  const d = load<u32>(at, 12);
  const pageA = pageOf(pages, a);
  const pageB = pageOf(pages, b);
  const pageC = pageOf(pages, c);
  const pageD = pageOf(pages, d);
  if ((pageA | pageB | pageC | pageD) < 0) return false;
  add(counts, pageA, a);
  add(counts, pageB, b);
  add(counts, pageC, c);
  add(counts, pageD, d);
  return true;
}

/** Adds a value unless it is passed over; false when its octave has no page. */
function addOne(at: usize, pages: usize, counts: usize): bool {
  const bits = load<u32>(at);
  if (bits == LOWEST || (bits & 0x7fffffff) > INFINITE) return true;
  const page = pageOf(pages, bits);
  if (page < 0) return false;
  add(counts, page, bits);
  return true;
}

/**
 * Adds to `counts` in place (u32; the caller sees to it that none overflows). NaN and -FLT_MAX are passed over
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
  while (i < count) {
    if (i + 4 <= count && addFour(values + (i << 2), pages, counts)) {
      i += 4;
      continue;
    }
    // Of the four, the one in question may be any, and the loop comes back here until it is behind.
    if (!addOne(values + (i << 2), pages, counts)) break;
    i++;
  }
  const area = reserve(12);
  store<u32>(area, <u32>counts);
  store<u32>(area, <u32>countCount, 4);
  store<u32>(area, <u32>i, 8);
  return area;
}
