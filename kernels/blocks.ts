/**
 * Block-wise integers: each block of some values in a row has a float16 scale of its own.
 *
 * The scale is that of litert-quantizer: the block's largest size by the limit, in float32; rounded to the 8 bits of bfloat16, at most
 * 65280; then to float16. What becomes 0 there gets 2^-14, because runtimes refuse a scale of 0. The integers follow from the
 * scale that is stored.
 */
import { ALMOST_HALF, runLimited } from "./elements";
import { halfOf, widened } from "./half";
import { demand, elementsResult, reserve } from "./memory";
import { runNear } from "./near";
import { scan, scannedMax, scannedMin } from "./ranges";

/** The largest float16 that has no more bits than bfloat16. */
const LARGEST: f32 = 65280;
/** 2^-14, the smallest normal float16. */
const INSTEAD_OF_ZERO: i32 = 0x0400;

/** A float32 that is no NaN to the nearest bfloat16, ties to even. */
// @ts-ignore: decorator
@inline
function shortened(x: f32): f32 {
  const bits = reinterpret<u32>(x);
  return reinterpret<f32>((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000);
}

/** [blocks, block] as bytes within ±limit. → (list<s8>, the scales as list<u16>, nans, infinite) */
export function blocks(values: usize, count: usize, block: u32, limit: i32): usize {
  demand(block > 0 && count % block == 0 && limit > 0 && limit <= 127);
  const output = elementsResult(count);
  const number = count / block;
  const scales = reserve(number << 1);
  const area = reserve(24);
  const steps = <f32>limit;
  let nans: u32 = 0;
  let infinite: u32 = 0;
  for (let i: usize = 0; i < number; i++) {
    const at = values + ((i * block) << 2);
    const start = load<f32>(at);
    nans += scan(at, block, start, start);
    const largest = max<f32>(abs<f32>(scannedMin), abs<f32>(scannedMax));
    if (largest >= f32.MAX_VALUE) infinite = 1;
    const wanted = min<f32>(shortened(largest / steps), LARGEST);
    const rounded = i32x4.extract_lane(halfOf(f32x4.splat(wanted)), 0);
    const half = rounded == 0 ? INSTEAD_OF_ZERO : rounded;
    store<u16>(scales + (i << 1), <u16>half);
    const inverse = <f32>(1 / <f64>f32x4.extract_lane(widened(i32x4.splat(half)), 0));
    const to = output + i * block;
    // Where rounding the scale was not too much for it, nothing needs clipping. Comparisons with NaN are false.
    if (largest * inverse + ALMOST_HALF < steps + 1) runNear<i8>(at, to, block, 0, inverse);
    else runLimited(at, to, block, inverse, limit);
  }
  store<u32>(area, <u32>output);
  store<u32>(area, <u32>count, 4);
  store<u32>(area, <u32>scales, 8);
  store<u32>(area, <u32>number, 12);
  store<u32>(area, nans, 16);
  store<u32>(area, infinite, 20);
  return area;
}
