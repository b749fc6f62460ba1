/**
 * BMP pictures, in plain code: they are hardly packed at all, and no decoder of the WebAssembly ones reads them. Taken: 1, 4, 8, 16, 24 and 32 bits a
 * pixel, palettes, bit masks; not the run-length kinds, which are refused. Source: Microsoft's BITMAPFILEHEADER, BITMAPINFOHEADER,
 * BITMAPV5HEADER.
 */
import { MediaError } from "./error.ts";
import type { Pixels } from "./resize.ts";

const ENDS = "is damaged: it ends too early";

/** Decodes to RGBA. The header was read (header.ts), so the size is bounded. Throws MediaError. */
export function decodeBmp(bytes: Uint8Array): Pixels {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = view.getUint32(14, true);
  const old = header === 12;
  if (!old && (header < 40 || bytes.length < 54)) throw new MediaError(ENDS);
  const width = old ? view.getUint16(18, true) : view.getInt32(18, true);
  const signed = old ? view.getUint16(20, true) : view.getInt32(22, true);
  const bits = view.getUint16(old ? 24 : 28, true);
  const packing = old ? 0 : view.getUint32(30, true);
  if (![0, 3, 6].includes(packing) || (packing !== 0 && bits !== 16 && bits !== 32))
    throw new MediaError("is a packed BMP, which is not read; save it as PNG");
  if (![1, 4, 8, 16, 24, 32].includes(bits)) throw new MediaError(`is damaged: it says ${bits} bits a pixel`);
  const height = Math.abs(signed);
  const data = view.getUint32(10, true);
  const row = Math.ceil((width * bits) / 32) * 4;
  if (data + row * height > bytes.length) throw new MediaError(ENDS);
  const pixelOf = bits <= 8 ? fromPalette(bytes, 14 + header, old, bits) : fromBits(view, bits, packing, header);
  const out = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    // Rows go from below, unless the height is negative.
    const start = data + row * (signed < 0 ? y : height - 1 - y);
    for (let x = 0, to = y * width * 4; x < width; x++, to += 4) {
      pixelOf(start, x, out, to);
      out[to + 3] = 255;
    }
  }
  return { width, height, channels: 4, data: out };
}

/** Writes red, green and blue of pixel `x` of the row at `start`. */
type PixelReader = (start: number, x: number, out: Uint8Array, to: number) => void;

function fromPalette(bytes: Uint8Array, palette: number, old: boolean, bits: number): PixelReader {
  const size = old ? 3 : 4;
  return (start, x, out, to) => {
    const bit = x * bits;
    const index = (bytes[start + (bit >> 3)]! >> (8 - bits - (bit & 7))) & ((1 << bits) - 1);
    // Colours that the palette lacks are black; what is read lies in the file, because pixels lie behind.
    for (let c = 0; c < 3; c++) out[to + c] = bytes[palette + index * size + 2 - c] ?? 0;
  };
}

function fromBits(view: DataView, bits: number, packing: number, header: number): PixelReader {
  if (bits === 24)
    return (start, x, out, to) => {
      for (let c = 0; c < 3; c++) out[to + c] = view.getUint8(start + 3 * x + 2 - c);
    };
  // Masks stand behind a header of 40 bytes, or are its next fields: the same place.
  const usual = bits === 32 ? [0xff0000, 0xff00, 0xff] : [0x7c00, 0x3e0, 0x1f];
  if (packing !== 0 && (header < 40 || view.byteLength < 66)) throw new MediaError(ENDS);
  const masks = packing === 0 ? usual : [54, 58, 62].map((at) => view.getUint32(at, true));
  const fields = masks.map((mask) => {
    const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
    return { mask, shift, most: mask >>> shift };
  });
  return (start, x, out, to) => {
    const pixel = bits === 32 ? view.getUint32(start + 4 * x, true) : view.getUint16(start + 2 * x, true);
    for (const [c, { mask, shift, most }] of fields.entries())
      out[to + c] = most === 0 ? 0 : Math.floor((((pixel & mask) >>> shift) * 255 + (most >>> 1)) / most);
  };
}
