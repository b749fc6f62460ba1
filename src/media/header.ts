/**
 * What a picture's file says of itself, before anything is decoded: format, size, orientation. Nothing in the file is trusted, and a
 * picture whose declared size is too large is refused here, whatever its bytes would become.
 *
 * Sources: ITU-T T.81 annex B (JPEG markers), W3C PNG (third edition) 5 and 11, RFC 9649 (WebP), Microsoft's BITMAPFILEHEADER.
 */
import { MediaError } from "./error.ts";
import { orientationOf } from "./exif.ts";
import { type PictureFormat, pictureFormatOf } from "./kinds.ts";

export interface PictureHeader {
  readonly format: PictureFormat;
  /** As stored, before it is turned. */
  readonly width: number;
  readonly height: number;
  /** EXIF's orientation, 1 to 8: how the stored picture is to be turned (resize.ts). */
  readonly orientation: number;
}

/** Most pixels of a picture: 4 bytes each, twice while it is decoded. Telephones make up to 200 million; these are refused. */
export const MOST_PIXELS = 100_000_000;

/**
 * A picture of so many pixels must have a byte in its file for every so many of them. Cameras have a byte for two to twenty; what has one for
 * thousands is one colour, made to take memory.
 */
const LARGE_PICTURE = 16_000_000;
const MOST_PER_BYTE = 256;
/** Passes over a progressive JPEG; encoders make some ten. Each takes time for all pixels, and may have no bytes of its own. */
const MOST_SCANS = 100;

/** Reads the header. Throws MediaError for what is no picture, too large, damaged, or of a kind that no decoder here takes. */
export function readHeader(bytes: Uint8Array): PictureHeader {
  const format = pictureFormatOf(bytes);
  if (!format) throw new MediaError("is no picture: it begins like none of JPEG, PNG, WebP, BMP");
  const header = { format, ...READERS[format](bytes) };
  const { width, height } = header;
  if (!(width > 0 && height > 0)) throw new MediaError(`is damaged: it says that it has ${width}×${height} pixels`);
  if (width * height > MOST_PIXELS)
    throw new MediaError(
      `says that it has ${width}×${height} pixels, more than ${MOST_PIXELS / 1e6} million; make it smaller first`,
    );
  if (width * height > LARGE_PICTURE && width * height > MOST_PER_BYTE * bytes.length)
    throw new MediaError(
      `says that it has ${width}×${height} pixels in ${bytes.length} bytes, as decompression bombs do; make it smaller first`,
    );
  return header;
}

type Said = Omit<PictureHeader, "format">;

const READERS: Readonly<Record<PictureFormat, (bytes: Uint8Array) => Said>> = {
  JPEG: jpeg,
  PNG: png,
  WebP: webp,
  BMP: bmp,
};

const ENDS = "is damaged: it ends too early";
const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Markers SOF0 … SOF15 without DHT, JPG and DAC, which lie between them. */
const isFrame = (marker: number) => marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
/** Markers without a length: TEM, RST0 … RST7, SOI. */
const isBare = (marker: number) => marker === 1 || (marker >= 0xd0 && marker <= 0xd8);

/**
 * Walks all segments to the end marker: a decoder fills what is missing of a cut file with grey and says nothing.
 */
function jpeg(bytes: Uint8Array): Said {
  const view = viewOf(bytes);
  let found: { width: number; height: number } | undefined;
  let orientation = 1;
  let scans = 0;
  for (let at = 2; ; ) {
    // Between segments, and in the data behind SOS: to the next marker.
    at = bytes.indexOf(0xff, at);
    while (at >= 0 && bytes[at] === 0xff) at++;
    if (at < 0 || at >= bytes.length) throw new MediaError(ENDS);
    const marker = bytes[at++]!;
    if (marker === 0xd9) break;
    if (marker === 0 || isBare(marker)) continue;
    if (at + 2 > bytes.length) throw new MediaError(ENDS);
    const length = view.getUint16(at);
    if (length < 2 || at + length > bytes.length) throw new MediaError(ENDS);
    if (isFrame(marker)) {
      if (length < 8 || found) throw new MediaError("is damaged: its frame header is not readable");
      const [precision, components] = [bytes[at + 2]!, bytes[at + 7]!];
      if (precision !== 8) throw new MediaError(`has ${precision} bits a value, and 8 are read; save it as 8-bit JPEG`);
      if (components === 4) throw new MediaError("is a CMYK picture; save it as RGB");
      found = { height: view.getUint16(at + 3), width: view.getUint16(at + 5) };
    }
    if (marker === 0xda && ++scans > MOST_SCANS)
      throw new MediaError(`has more than ${MOST_SCANS} scans, as decompression bombs do; save it anew`);
    if (marker === 0xe1) orientation = orientationOf(bytes.subarray(at + 2, at + length)) ?? orientation;
    at += length;
  }
  if (!found) throw new MediaError("is damaged: it has no frame header");
  return { ...found, orientation };
}

const ascii = (bytes: Uint8Array, at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));

function png(bytes: Uint8Array): Said {
  const view = viewOf(bytes);
  if (bytes.length < 33 || ascii(bytes, 12) !== "IHDR") throw new MediaError(ENDS);
  let orientation = 1;
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    if (ascii(bytes, at + 4) === "eXIf" && at + 12 + length <= bytes.length)
      orientation = orientationOf(bytes.subarray(at + 8, at + 8 + length)) ?? orientation;
    at += 12 + length;
  }
  return { width: view.getUint32(16), height: view.getUint32(20), orientation };
}

/** The largest size that any of its chunks says counts: the decoder believes the frame, not the canvas. */
function webp(bytes: Uint8Array): Said {
  const view = viewOf(bytes);
  const uint24 = (at: number) => view.getUint16(at, true) + (bytes[at + 2]! << 16);
  let [width, height, orientation] = [0, 0, 1];
  const grow = (w: number, h: number) => {
    width = Math.max(width, w);
    height = Math.max(height, h);
  };
  for (let at = 12; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at + 4, true);
    const start = at + 8;
    const whole = start + length <= bytes.length;
    const kind = ascii(bytes, at);
    const room = bytes.length - start;
    if (kind === "VP8X" && room >= 10) {
      if (bytes[start]! & 2) throw new MediaError("is an animation; give single pictures");
      grow(uint24(start + 4) + 1, uint24(start + 7) + 1);
    } else if (kind === "VP8 " && room >= 10)
      grow(view.getUint16(start + 6, true) & 0x3fff, view.getUint16(start + 8, true) & 0x3fff);
    else if (kind === "VP8L" && room >= 5) {
      const size = view.getUint32(start + 1, true);
      grow((size & 0x3fff) + 1, ((size >>> 14) & 0x3fff) + 1);
    } else if (kind === "EXIF" && whole)
      orientation = orientationOf(bytes.subarray(start, start + length)) ?? orientation;
    if (!whole) throw new MediaError(ENDS);
    at = start + length + (length % 2);
  }
  return { width, height, orientation };
}

function bmp(bytes: Uint8Array): Said {
  const view = viewOf(bytes);
  if (bytes.length < 26) throw new MediaError(ENDS);
  const old = view.getUint32(14, true) === 12;
  const width = old ? view.getUint16(18, true) : view.getInt32(18, true);
  const height = old ? view.getUint16(20, true) : Math.abs(view.getInt32(22, true));
  return { width, height, orientation: 1 };
}
