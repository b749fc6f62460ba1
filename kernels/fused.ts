/**
 * Range, parameters and integers of whole channels in one call: each channel is encoded while it still lies in the nearest cache, and
 * the host calls once for hundreds of channels instead of three times.
 *
 * Only the quick way to integers (near.ts) is taken here. When one channel is not near, nothing more is encoded, all the
 * parameters are still computed, and the result says so: the host encodes such a block by `asym` or `sym`.
 */
import { demand, elementsResult, reserve } from "./memory";
import { runNear } from "./near";
import { asymparameter, inverseOf, nudgedMinOf, reserveLists, storeLists, symparameter } from "./parameters";
import { scan, scannedMax, scannedMin } from "./ranges";

const INT16_LIMIT: i32 = 32767;
const INT8_LIMIT: i32 = 127;

/** [1, channels, inner] as Q = u8 by QA, or i16 or i8 by QS within ±limit. → (list<Q>, the five lists of parameters, nans, infinite, near) */
function quantizeChannels<Q>(values: usize, count: usize, channels: u32, inner: u32, limit: i32, smallest: f32): usize {
  demand(channels > 0 && inner > 0 && <u64>count == <u64>channels * <u64>inner);
  const output = elementsResult(count * sizeof<Q>());
  reserveLists(channels);
  const area = reserve(60);
  let nans: u32 = 0;
  let infinite: u32 = 0;
  let near = true;
  for (let channel: usize = 0; channel < channels; channel++) {
    const first = channel * inner;
    const at = values + (first << 2);
    const start = load<f32>(at);
    nans += scan(at, inner, start, start);
    const least = scannedMin;
    const most = scannedMax;
    if (least <= -f32.MAX_VALUE || most >= f32.MAX_VALUE) infinite = 1;
    const fits = isSigned<Q>()
      ? symparameter(channel, least, most, limit, smallest)
      : asymparameter(channel, least, most);
    if (!fits) near = false;
    if (near) {
      const base: f32 = isSigned<Q>() ? 0 : nudgedMinOf(channel);
      runNear<Q>(at, output + first * sizeof<Q>(), inner, base, inverseOf(channel));
    }
  }
  store<u32>(area, <u32>output);
  store<u32>(area, <u32>count, 4);
  storeLists(area + 8, channels);
  store<u32>(area, nans, 48);
  store<u32>(area, infinite, 52);
  store<u32>(area, near && nans == 0 ? 1 : 0, 56);
  return area;
}

/** Ranges (§3.1), QA parameters (§3.2) and integers (§3.4). */
export function fusedasym(values: usize, count: usize, channels: u32, inner: u32): usize {
  return quantizeChannels<u8>(values, count, channels, inner, 255, 0);
}

/** The same by QS with limit 32767 and no scale below `smallest` (§3.3). */
export function fusedsym(values: usize, count: usize, channels: u32, inner: u32, smallest: f32): usize {
  return quantizeChannels<i16>(values, count, channels, inner, INT16_LIMIT, smallest);
}

/** The same by QS into bytes: limit 127 (int8), 7 (int4) or 1 (int2). */
export function fusedbyte(values: usize, count: usize, channels: u32, inner: u32, limit: i32, smallest: f32): usize {
  demand(limit > 0 && limit <= INT8_LIMIT);
  return quantizeChannels<i8>(values, count, channels, inner, limit, smallest);
}
