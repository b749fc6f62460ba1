/**
 * `.npz`: a zip of `.npy` arrays (numpy.savez, numpy.savez_compressed), one array a model input, each a stack of records.
 *
 * Which entry feeds which input: the entry of the input's name; else numpy's positional names `arr_0`, `arr_1` … by the input's
 * number; else, with one input and one entry, that one. Entries nobody wants are left alone.
 *
 * Entries are unpacked piece by piece while they are read, never as a whole.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { crc32 } from "node:zlib";
import { Inflate } from "fflate";
import { FileError, type MinmaxqError, reasonOf } from "../base/errors.ts";
import { type ByteStream, fileSize, fileStream } from "./chunks.ts";
import { type DataSet, type InputSpec, inputText } from "./inputs.ts";
import { dataSetOfStacks, stackOf } from "./npy.ts";
import { collect, throwAll } from "./problems.ts";

export function openNpz(path: string, inputs: readonly InputSpec[]): DataSet {
  const entries = readDirectory(path);
  const found = new Map(entries.map((entry) => [entry.name.replace(/\.npy$/, ""), entry]));
  const problems: string[] = [];
  const stacks = inputs.map((input, number) => {
    const alone = inputs.length === 1 && entries.length === 1 ? entries[0] : undefined;
    const entry = found.get(input.name) ?? found.get(`arr_${number}`) ?? alone;
    if (entry === undefined) {
      const names = [...found.keys()].map((name) => `"${name}"`).join(", ");
      problems.push(`${path}: has no entry for ${inputText(input)}; its entries are ${names || "none"}`);
      return undefined;
    }
    return collect(problems, () => stackOf(entryStream(path, entry), input));
  });
  throwAll(problems, `${path}: does not fit the model`, path);
  const counts = stacks.map((stack) => stack!.count);
  if (counts.some((count) => count !== counts[0])) {
    const list = inputs.map((input, i) => `"${input.name}" ${counts[i]}`).join(", ");
    throw new FileError(path, `its entries hold different numbers of records: ${list}`);
  }
  return dataSetOfStacks(
    path,
    stacks.map((stack) => stack!),
  );
}

interface Entry {
  readonly name: string;
  /** 0 stored, 8 deflated. */
  readonly method: number;
  readonly crc: number;
  readonly packedSize: number;
  readonly size: number;
  /** Where the entry's local header begins. */
  readonly headerOffset: number;
}

/** The zip's central directory (APPNOTE 4.3.12), with the 64-bit sizes of zip64. */
function readDirectory(path: string): Entry[] {
  const size = fileSize(path);
  const bad = (why: string) => new FileError(path, `is not a readable .npz (zip): ${why}`);
  const fd = openSync(path, "r");
  const at = (offset: number, length: number): DataView => {
    const bytes = new Uint8Array(length);
    if (offset < 0 || offset + length > size || readSync(fd, bytes, 0, length, offset) !== length) {
      throw bad("it is truncated or damaged");
    }
    return new DataView(bytes.buffer);
  };
  try {
    const tail = at(Math.max(0, size - 65_557), Math.min(size, 65_557));
    let end = tail.byteLength - 22;
    while (end >= 0 && tail.getUint32(end, true) !== 0x06054b50) end--;
    if (end < 0) throw bad("it has no central directory; it is truncated or no zip");
    let count = tail.getUint16(end + 10, true);
    let length = tail.getUint32(end + 12, true);
    let offset = tail.getUint32(end + 16, true);
    const endOffset = size - tail.byteLength + end;
    if (endOffset >= 20 && (count === 0xffff || length === 0xffffffff || offset === 0xffffffff)) {
      const locator = at(endOffset - 20, 20);
      if (locator.getUint32(0, true) !== 0x07064b50) throw bad("its zip64 end is missing");
      const end64 = at(Number(locator.getBigUint64(8, true)), 56);
      count = Number(end64.getBigUint64(32, true));
      length = Number(end64.getBigUint64(40, true));
      offset = Number(end64.getBigUint64(48, true));
    }
    return parseEntries(at(offset, length), count, bad);
  } finally {
    closeSync(fd);
  }
}

function parseEntries(view: DataView, count: number, bad: (why: string) => MinmaxqError): Entry[] {
  const entries: Entry[] = [];
  const decoder = new TextDecoder();
  for (let i = 0, at = 0; i < count; i++) {
    if (at + 46 > view.byteLength || view.getUint32(at, true) !== 0x02014b50)
      throw bad("its central directory is damaged");
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > view.byteLength) throw bad("its central directory is damaged");
    const name = decoder.decode(new Uint8Array(view.buffer, at + 46, nameLength));
    const method = view.getUint16(at + 10, true);
    if (view.getUint16(at + 8, true) & 1) throw bad(`entry "${name}" is encrypted`);
    if (method !== 0 && method !== 8)
      throw bad(`entry "${name}" is packed by method ${method}; only stored and deflated are known`);
    let size = view.getUint32(at + 24, true);
    let packedSize = view.getUint32(at + 20, true);
    let headerOffset = view.getUint32(at + 42, true);
    // Zip64 extra field (id 1): 64-bit values of just those of the three that are 0xffffffff, in this order.
    for (let extra = at + 46 + nameLength; extra + 4 <= at + 46 + nameLength + extraLength; ) {
      const extraSize = view.getUint16(extra + 2, true);
      if (view.getUint16(extra, true) === 1) {
        let field = extra + 4;
        const wide = (value: number): number => {
          if (value !== 0xffffffff || field + 8 > extra + 4 + extraSize) return value;
          field += 8;
          return Number(view.getBigUint64(field - 8, true));
        };
        size = wide(size);
        packedSize = wide(packedSize);
        headerOffset = wide(headerOffset);
      }
      extra += 4 + extraSize;
    }
    if (!name.endsWith("/")) {
      entries.push({ name, method, crc: view.getUint32(at + 16, true), packedSize, size, headerOffset });
    }
    at = next;
  }
  return entries;
}

/** The entry's unpacked bytes. A pass to the end checks the zip's CRC. */
function entryStream(path: string, entry: Entry): ByteStream {
  const name = `${path}:${entry.name}`;
  function* pieces(): Generator<Uint8Array, void, void> {
    const dataOffset = entry.headerOffset + 30 + localNameAndExtra(path, entry);
    const packed = fileStream(path, dataOffset, entry.packedSize, name).open();
    let crc = 0;
    let total = 0;
    try {
      for (const piece of entry.method === 0 ? iterate(packed) : inflate(packed, name)) {
        crc = crc32(piece, crc);
        total += piece.length;
        yield piece;
      }
    } finally {
      packed.return?.();
    }
    if (total !== entry.size || crc >>> 0 !== entry.crc) throw new FileError(name, "is damaged (its checksum differs)");
  }
  return { name, size: entry.size, open: pieces };
}

function* iterate(pieces: Iterator<Uint8Array, void, void>): Generator<Uint8Array, void, void> {
  for (let next = pieces.next(); !next.done; next = pieces.next()) yield next.value;
}

function* inflate(packed: Iterator<Uint8Array, void, void>, name: string): Generator<Uint8Array, void, void> {
  const ready: Uint8Array[] = [];
  const inflater = new Inflate((piece) => {
    if (piece.length > 0) ready.push(piece);
  });
  const push = (piece: Uint8Array, last: boolean): void => {
    try {
      inflater.push(piece, last);
    } catch (error) {
      throw new FileError(name, `is damaged, it cannot be unpacked (${reasonOf(error)})`, { cause: error });
    }
  };
  for (const piece of iterate(packed)) {
    // Small steps: a few packed bytes can hold very many unpacked ones, and all of a step are in memory at once.
    for (let at = 0; at < piece.length; at += 16_384) {
      push(piece.slice(at, at + 16_384), false);
      yield* ready.splice(0);
    }
  }
  push(new Uint8Array(0), true);
  yield* ready.splice(0);
}

/** Lengths of the name and extra field in the local header; the extra field may differ from the directory's. */
function localNameAndExtra(path: string, entry: Entry): number {
  const header = new Uint8Array(30);
  const fd = openSync(path, "r");
  try {
    const count = readSync(fd, header, 0, 30, entry.headerOffset);
    const view = new DataView(header.buffer);
    if (count !== 30 || view.getUint32(0, true) !== 0x04034b50) {
      throw new FileError(`${path}:${entry.name}`, "is damaged (no local header)");
    }
    return view.getUint16(26, true) + view.getUint16(28, true);
  } finally {
    closeSync(fd);
  }
}
