/**
 * From a decoded picture to the pixels that a model sees: channels, orientation, crop, size, borders. Plain code over integers (coefficients in
 * double, by + − × ÷ alone), so every machine gives the same bytes.
 *
 * Size: a triangle filter that widens when a picture gets smaller (every pixel counts), rows first, then columns, each rounded to bytes. It is
 * the rule of `Image.resize(size, Image.BILINEAR)` of Pillow 11 (src/libImaging/Resample.c), and gives its bytes: coefficients are
 * fixed-point numbers of 22 bits, rounded half away from 0; so are sums.
 */

/** Bytes, row by row, `channels` a pixel. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

export type Channels = "rgb" | "bgr" | "gray";
export type Fitting = "stretch" | "crop" | "fit";

/** Whether an orientation exchanges width and height. */
export const isOnSide = (orientation: number) => orientation >= 5;

/**
 * The stored pixels as a person is to see them, with the channels that are wanted: `count` of them, 1 or 3 (grey three times, if so). Alpha
 * is left out, as Pillow and TensorFlow do.
 *
 * Grey is ITU-R BT.601 in Pillow's integers: (19595 R + 38470 G + 7471 B + 2¹⁵) / 2¹⁶, rounded down.
 */
export function oriented(rgba: Pixels, orientation: number, channels: Channels, count: number): Pixels {
  const { width: w, height: h, data, channels: step } = rgba;
  const [width, height] = isOnSide(orientation) ? [h, w] : [w, h];
  // The source of pixel (x, y) is start + x · right + y · down.
  const flipX = [2, 3, 7, 8].includes(orientation);
  const flipY = [3, 4, 6, 7].includes(orientation);
  const start = (flipX ? w - 1 : 0) + (flipY ? (h - 1) * w : 0);
  const [acrossX, acrossY] = [flipX ? -1 : 1, flipY ? -w : w];
  const [right, down] = isOnSide(orientation) ? [acrossY, acrossX] : [acrossX, acrossY];
  const out = new Uint8Array(width * height * count);
  const [first, last] = channels === "bgr" ? [2, 0] : [0, 2];
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0, from = (start + y * down) * step; x < width; x++, from += right * step) {
      if (channels !== "gray") {
        out[to++] = data[from + first]!;
        out[to++] = data[from + 1]!;
        out[to++] = data[from + last]!;
        continue;
      }
      const gray = (19595 * data[from]! + 38470 * data[from + 1]! + 7471 * data[from + 2]! + 0x8000) >> 16;
      for (let c = 0; c < count; c++) out[to++] = gray;
    }
  }
  return { width, height, channels: count, data: out };
}

/** `n / d`, rounded half up; both are whole numbers. */
const rounded = (n: number, d: number) => Math.floor((2 * n + d) / (2 * d));

/**
 * The picture in the wanted size.
 *
 *     stretch   width and height each for itself
 *     crop      first cut to the wanted proportions, as much from either side (the odd pixel from the right or below)
 *     fit       as large as fits in, with black (0) borders, as much on either side (the odd pixel right or below)
 */
export function fitted(pixels: Pixels, width: number, height: number, how: Fitting): Pixels {
  const { width: w, height: h } = pixels;
  const wide = w * height > h * width;
  if (how === "stretch") return resized(pixels, width, height);
  if (how === "crop") {
    const [cw, ch] = wide ? [Math.max(1, rounded(h * width, height)), h] : [w, Math.max(1, rounded(w * height, width))];
    return resized(cut(pixels, (w - cw) >> 1, (h - ch) >> 1, cw, ch), width, height);
  }
  const [nw, nh] = wide ? [width, Math.max(1, rounded(h * width, w))] : [Math.max(1, rounded(w * height, h)), height];
  const inner = resized(pixels, nw, nh);
  const data = new Uint8Array(width * height * pixels.channels);
  const row = nw * pixels.channels;
  const [left, top] = [(width - nw) >> 1, (height - nh) >> 1];
  for (let y = 0; y < nh; y++)
    data.set(inner.data.subarray(y * row, (y + 1) * row), ((top + y) * width + left) * pixels.channels);
  return { width, height, channels: pixels.channels, data };
}

function cut({ width: w, channels, data }: Pixels, left: number, top: number, width: number, height: number): Pixels {
  const out = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * w + left) * channels;
    out.set(data.subarray(from, from + width * channels), y * width * channels);
  }
  return { width, height, channels, data: out };
}

/** The picture in another size; the same object where it has that size. */
export function resized(pixels: Pixels, width: number, height: number): Pixels {
  const { channels } = pixels;
  let { width: w, height: h, data } = pixels;
  if (w !== width) {
    data = along(data, h, w, 1, width, channels);
    w = width;
  }
  if (h !== height) {
    data = along(data, 1, h, w, height, channels);
    h = height;
  }
  return w === pixels.width && h === pixels.height ? pixels : { width, height, channels, data };
}

const BITS = 22;

/**
 * Changes the middle axis of [outer, from, inner, channels] to `to`: rows have inner 1, columns outer 1.
 */
function along(data: Uint8Array, outer: number, from: number, inner: number, to: number, channels: number): Uint8Array {
  const out = new Uint8Array(outer * to * inner * channels);
  const { firsts, counts, weights, most } = coefficients(from, to);
  const step = inner * channels;
  for (let o = 0; o < outer; o++) {
    for (let t = 0; t < to; t++) {
      const [first, count, at] = [firsts[t]!, counts[t]!, t * most];
      const source = (o * from + first) * step;
      const target = (o * to + t) * step;
      for (let i = 0; i < step; i++) {
        let sum = 1 << (BITS - 1);
        for (let k = 0, place = source + i; k < count; k++, place += step) sum += data[place]! * weights[at + k]!;
        // Weights are positive and add up to about 2²², so the sum is below 2³¹.
        out[target + i] = Math.min(255, sum >> BITS);
      }
    }
  }
  return out;
}

function coefficients(from: number, to: number) {
  const scale = from / to;
  const support = Math.max(1, scale);
  const most = Math.ceil(support) * 2 + 1;
  const firsts = new Int32Array(to);
  const counts = new Int32Array(to);
  const weights = new Int32Array(to * most);
  for (let t = 0; t < to; t++) {
    const centre = (t + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const count = Math.min(from, Math.trunc(centre + support + 0.5)) - first;
    const raw = Array.from({ length: count }, (_, k) => {
      const distance = Math.abs((k + first - centre + 0.5) * (1 / support));
      return distance < 1 ? 1 - distance : 0;
    });
    const all = raw.reduce((sum, weight) => sum + weight, 0);
    firsts[t] = first;
    counts[t] = count;
    for (const [k, weight] of raw.entries())
      weights[t * most + k] = Math.trunc(0.5 + (all === 0 ? weight : weight / all) * 2 ** BITS);
  }
  return { firsts, counts, weights, most };
}
