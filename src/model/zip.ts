/**
 * The central directory of a ZIP (APPNOTE 4.3.12), with the 64-bit sizes of zip64: an `.npz`, or an archive that stands behind a model.
 *
 *     anything | entries: local header, bytes | central directory | end
 *
 * Offsets in an archive count from the beginning of the file or of the archive, as its writer liked; the place of the directory, which
 * ends where the end record begins, tells which.
 */
import { keepPlain } from "../base/plain.ts";
import type { ByteRange, ByteSource } from "./bytes.ts";

export interface ZipEntry {
  readonly name: string;
  /** 0 stored, 8 deflated. */
  readonly method: number;
  readonly encrypted: boolean;
  readonly crc: number;
  readonly packedSize: number;
  /** Bytes of the unpacked entry. */
  readonly size: number;
  /** Where the entry's local header begins, from the beginning of the source. */
  readonly headerOffset: number;
}

export interface ZipDirectory {
  /** Files; folders are left out. */
  readonly entries: readonly ZipEntry[];
  /** First byte of the archive in the source. */
  readonly start: number;
}

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END = 0x06054b50;
const END_SIZE = 22;
const LONGEST_COMMENT = 0xffff;
const END_64 = 0x06064b50;
const END_64_SIZE = 56;
const LOCATOR_64 = 0x07064b50;
const LOCATOR_64_SIZE = 20;

/** The directory of the ZIP that ends a source, or why there is none: a clause for messages. */
export function readZipDirectory(source: ByteSource): ZipDirectory | string {
  const { size } = source;
  const at = (offset: number, length: number): DataView | undefined => {
    if (!(offset >= 0 && offset + length <= size)) return undefined;
    const bytes = new Uint8Array(length);
    source.readInto(bytes, offset);
    return new DataView(bytes.buffer);
  };
  const tailSize = Math.min(size, END_SIZE + LONGEST_COMMENT);
  const tail = at(size - tailSize, tailSize)!;
  let end = tailSize - END_SIZE;
  while (end >= 0 && tail.getUint32(end, true) !== END) end--;
  if (end < 0) return "it has no central directory; it is truncated or no zip";
  let count = tail.getUint16(end + 10, true);
  let length = tail.getUint32(end + 12, true);
  let stated = tail.getUint32(end + 16, true);
  let directoryEnd = size - tailSize + end;
  if (count === 0xffff || length === 0xffffffff || stated === 0xffffffff) {
    if (at(directoryEnd - LOCATOR_64_SIZE, 4)?.getUint32(0, true) !== LOCATOR_64) return "its zip64 end is missing";
    directoryEnd -= LOCATOR_64_SIZE + END_64_SIZE;
    const end64 = at(directoryEnd, END_64_SIZE);
    if (end64?.getUint32(0, true) !== END_64) return "its zip64 end is missing";
    count = Number(end64.getBigUint64(32, true));
    length = Number(end64.getBigUint64(40, true));
    stated = Number(end64.getBigUint64(48, true));
  }
  const directory = at(directoryEnd - length, length);
  if (!directory) return "it is truncated or damaged";
  const shift = directoryEnd - length - stated;
  const entries = parseEntries(directory, count, shift);
  if (!entries) return "its central directory is damaged";
  let start = directoryEnd - length;
  for (const { headerOffset } of entries) {
    if (at(headerOffset, 4)?.getUint32(0, true) !== LOCAL_HEADER) return "it is truncated or damaged";
    start = Math.min(start, headerOffset);
  }
  return { entries: entries.filter(({ name }) => !name.endsWith("/")), start };
}

/**
 * The archive that stands behind a model whose own bytes end at `modelEnd`: from its first byte to the end of the file. Undefined
 * where there is none.
 */
export function archiveBehind(source: ByteSource, modelEnd: number): ByteRange | undefined {
  if (source.size - modelEnd < END_SIZE) return undefined;
  const directory = readZipDirectory(source);
  // A zip that begins earlier is one of the model's own contents.
  if (typeof directory === "string" || directory.start < modelEnd) return undefined;
  return { source, offset: directory.start, length: source.size - directory.start };
}

function parseEntries(view: DataView, count: number, shift: number): ZipEntry[] | undefined {
  const entries: ZipEntry[] = [];
  const decoder = new TextDecoder();
  for (let i = 0, at = 0; i < count; i++) {
    if (at + 46 > view.byteLength || view.getUint32(at, true) !== CENTRAL_HEADER) return undefined;
    const extraAt = at + 46 + view.getUint16(at + 28, true);
    const extraEnd = extraAt + view.getUint16(at + 30, true);
    const next = extraEnd + view.getUint16(at + 32, true);
    if (next > view.byteLength) return undefined;
    const [size, packedSize, offset] = wideValues(view, [at + 24, at + 20, at + 42], extraAt, extraEnd);
    entries.push({
      name: keepPlain(decoder.decode(new Uint8Array(view.buffer, at + 46, extraAt - at - 46))),
      method: view.getUint16(at + 10, true),
      encrypted: (view.getUint16(at + 8, true) & 1) === 1,
      crc: view.getUint32(at + 16, true),
      packedSize: packedSize!,
      size: size!,
      headerOffset: offset! + shift,
    });
    at = next;
  }
  return entries;
}

/** The 32-bit values at `places`. The zip64 extra field (id 1) has 64-bit values of just those that are 0xffffffff, in this order. */
function wideValues(view: DataView, places: readonly number[], extraAt: number, extraEnd: number): number[] {
  const values = places.map((place) => view.getUint32(place, true));
  for (let extra = extraAt; extra + 4 <= extraEnd; ) {
    const fieldEnd = extra + 4 + view.getUint16(extra + 2, true);
    if (view.getUint16(extra, true) === 1) {
      let field = extra + 4;
      for (const [i, value] of values.entries()) {
        if (value !== 0xffffffff || field + 8 > Math.min(fieldEnd, extraEnd)) continue;
        values[i] = Number(view.getBigUint64(field, true));
        field += 8;
      }
    }
    extra = fieldEnd;
  }
  return values;
}
