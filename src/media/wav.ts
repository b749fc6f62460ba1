/**
 * WAV sounds. Taken: whole numbers of 8, 16, 24 and 32 bits and floats of 32 and 64, any rate, any number of channels (their mean is
 * taken). Source: Microsoft's Multimedia Programming Interface 1.0 (RIFF WAVE), WAVEFORMATEXTENSIBLE.
 */
import { MediaError } from "./error.ts";
import { isWav } from "./kinds.ts";

export interface Sound {
  /** Samples a second. */
  readonly rate: number;
  readonly channels: number;
  /** Samples of each channel. */
  readonly length: number;
  /** Sample `i`, the mean of all channels; whole numbers stand for −1 … 1, the largest for just below 1, as TensorFlow's decode_wav has it. */
  at(i: number): number;
}

const ENDS = "is damaged: it ends too early";
const [INTEGERS, FLOATS, EXTENSIBLE] = [1, 3, 0xfffe];

/** How a sample is read, by format and bits. */
const READERS: Readonly<Record<string, (view: DataView, at: number) => number>> = {
  "1/8": (view, at) => (view.getUint8(at) - 128) / 128,
  "1/16": (view, at) => view.getInt16(at, true) / 2 ** 15,
  "1/24": (view, at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 65536) / 2 ** 23,
  "1/32": (view, at) => view.getInt32(at, true) / 2 ** 31,
  "3/32": (view, at) => view.getFloat32(at, true),
  "3/64": (view, at) => view.getFloat64(at, true),
};

/** Reads a WAV file. Throws MediaError when it is no WAV file, is damaged, or is compressed. */
export function readWav(bytes: Uint8Array): Sound {
  if (!isWav(bytes)) throw new MediaError("is no WAV sound: it does not begin with RIFF … WAVE");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let format: { code: number; channels: number; rate: number; bits: number } | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const name = String.fromCharCode(...bytes.subarray(at, at + 4));
    const size = view.getUint32(at + 4, true);
    const start = at + 8;
    if (name === "fmt ") {
      if (size < 16 || start + size > bytes.length) throw new MediaError(ENDS);
      const code = view.getUint16(start, true);
      format = {
        code: code === EXTENSIBLE && size >= 26 ? view.getUint16(start + 24, true) : code,
        channels: view.getUint16(start + 2, true),
        rate: view.getUint32(start + 4, true),
        bits: view.getUint16(start + 14, true),
      };
    } else if (name === "data") return sound(view, format, start, size);
    at = start + size + (size % 2);
  }
  throw new MediaError(format ? "is damaged: it has no sound data" : ENDS);
}

function sound(
  view: DataView,
  format: { code: number; channels: number; rate: number; bits: number } | undefined,
  start: number,
  size: number,
): Sound {
  if (!format) throw new MediaError("is damaged: its format does not stand before its data");
  const { code, channels, rate, bits } = format;
  const read = READERS[`${code}/${bits}`];
  if (!read) {
    const known = code === INTEGERS || code === FLOATS ? `${bits} bits a sample` : `a packed format (${code})`;
    throw new MediaError(`has ${known}, which is not read; save it as 16-bit PCM`);
  }
  if (channels === 0 || rate === 0) throw new MediaError(`is damaged: it says ${channels} channels and ${rate} Hz`);
  const left = view.byteLength - start;
  // A recorder that was written to a pipe did not know how much would follow.
  const bytes = size === 0xffffffff || size === 0 ? left : size;
  if (bytes > left) throw new MediaError(ENDS);
  const width = bits / 8;
  const frame = width * channels;
  return {
    rate,
    channels,
    length: Math.floor(bytes / frame),
    at(i) {
      let sum = 0;
      for (let c = 0; c < channels; c++) sum += read(view, start + i * frame + c * width);
      return sum / channels;
    },
  };
}
