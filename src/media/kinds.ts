/** What a file is, by its name's ending and by its first bytes. Loads nothing: every folder of samples is looked at. */
import { closeSync, openSync, readSync, statSync } from "node:fs";

export type PictureFormat = "JPEG" | "PNG" | "WebP" | "BMP";

/** picture and sound: what is read here; foreign: pictures and sounds that are not; array: `.npy`; raw: anything else. */
export type FileKind = "picture" | "sound" | "foreign" | "array" | "raw";

/** The kinds that endings stand for; what is not here is raw. */
const ENDINGS: Readonly<Record<string, FileKind>> = {
  jpg: "picture",
  jpeg: "picture",
  jpe: "picture",
  jfif: "picture",
  png: "picture",
  webp: "picture",
  bmp: "picture",
  dib: "picture",
  wav: "sound",
  wave: "sound",
  npy: "array",
  gif: "foreign",
  tif: "foreign",
  tiff: "foreign",
  heic: "foreign",
  heif: "foreign",
  avif: "foreign",
  jxl: "foreign",
  svg: "foreign",
  mp3: "foreign",
  flac: "foreign",
  ogg: "foreign",
  m4a: "foreign",
};

/** The ending of a name, in small letters and without the dot; empty where there is none. */
export function endingOf(name: string): string {
  return /\.([^./\\]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
}

/** What a file's name says it is. */
export function kindOf(name: string): FileKind {
  const ending = endingOf(name);
  return Object.hasOwn(ENDINGS, ending) ? ENDINGS[ending]! : "raw";
}

/** What to do with a file of kind "foreign". */
export function foreignText(name: string): string {
  const sound = /^(mp3|flac|ogg|m4a)$/.test(endingOf(name));
  return `is a .${endingOf(name)} file, which is not read; ${sound ? "convert it to WAV" : "convert it to PNG or JPEG"}`;
}

const latin1 = (bytes: Uint8Array, from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));

/** The format that the first 12 bytes of a picture tell. */
export function pictureFormatOf(start: Uint8Array): PictureFormat | undefined {
  if (start[0] === 0xff && start[1] === 0xd8 && start[2] === 0xff) return "JPEG";
  if (latin1(start, 0, 8) === "\x89PNG\r\n\x1a\n") return "PNG";
  if (latin1(start, 0, 4) === "RIFF" && latin1(start, 8, 12) === "WEBP") return "WebP";
  return latin1(start, 0, 2) === "BM" ? "BMP" : undefined;
}

/** Whether the first 12 bytes are those of a WAV file. */
export function isWav(start: Uint8Array): boolean {
  return latin1(start, 0, 4) === "RIFF" && latin1(start, 8, 12) === "WAVE";
}

/**
 * What a file that was to be an array or raw bytes is instead, by its first bytes: "a JPEG picture"; undefined for all else. BMP is left out:
 * its two letters begin other files, too.
 */
export function mediaText(path: string): string | undefined {
  const start = new Uint8Array(12);
  try {
    // A pipe would be waited for.
    if (!statSync(path).isFile()) return undefined;
    const fd = openSync(path, "r");
    try {
      readSync(fd, start, 0, 12, 0);
    } finally {
      closeSync(fd);
    }
  } catch {
    // What cannot be read is told by what reads it.
    return undefined;
  }
  const format = pictureFormatOf(start);
  if (format && format !== "BMP") return `a ${format} picture`;
  if (format && kindOf(path) === "picture") return `a ${format} picture`;
  return isWav(start) ? "a WAV sound" : undefined;
}
