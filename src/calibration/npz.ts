/**
 * `.npz`: a zip of `.npy` arrays (numpy.savez, numpy.savez_compressed), one array per model input, each a stack of records.
 *
 * Which entry feeds which input: the entry of the input's name; else that of its name in a signature; else numpy's positional names `arr_0`, `arr_1` … by the input's
 * number; else, with one input and one entry, that one. Entries that no input wants are left alone.
 *
 * Entries are unpacked piece by piece while they are read, never as a whole.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { crc32 } from "node:zlib";
import { Inflate } from "fflate";
import { FileError, reasonOf } from "../base/errors.ts";
import { FileBytes } from "../model/bytes.ts";
import { readZipDirectory, type ZipEntry } from "../model/zip.ts";
import { type ByteStream, fileSize, fileStream } from "./chunks.ts";
import { type DataSet, type InputSpec, inputText } from "./inputs.ts";
import { dataSetOfStacks, stackOf } from "./npy.ts";
import { collect, throwAll } from "./problems.ts";

/** Bytes that deflate makes of one at most (RFC 1951: 258 bytes of two bits). */
const MOST_DEFLATED = 1032;

export function openNpz(path: string, inputs: readonly InputSpec[]): DataSet {
  const entries = readDirectory(path);
  const found = new Map(entries.map((entry) => [entry.name.replace(/\.npy$/, ""), entry]));
  const problems: string[] = [];
  const stacks = inputs.map((input, number) => {
    const alone = inputs.length === 1 && entries.length === 1 ? entries[0] : undefined;
    const entry =
      found.get(input.name) ?? found.get(input.signatureName ?? input.name) ?? found.get(`arr_${number}`) ?? alone;
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

/** The entries; throws where one cannot be read. */
function readDirectory(path: string): readonly ZipEntry[] {
  const bad = (why: string) => new FileError(path, `is not a readable .npz (zip): ${why}`);
  fileSize(path);
  const source = new FileBytes(path);
  try {
    const directory = readZipDirectory(source);
    if (typeof directory === "string") throw bad(directory);
    for (const { name, method, encrypted, size, packedSize, headerOffset } of directory.entries) {
      if (encrypted) throw bad(`entry "${name}" is encrypted`);
      if (method !== 0 && method !== 8)
        throw bad(`entry "${name}" is packed by method ${method}; only stored and deflated are known`);
      if (headerOffset + packedSize > source.size || size > packedSize * (method === 0 ? 1 : MOST_DEFLATED))
        throw bad(`entry "${name}" says that it has more bytes than the file can hold`);
    }
    return directory.entries;
  } finally {
    source.close();
  }
}

/** The entry's unpacked bytes. A pass to the end checks the zip's CRC. */
function entryStream(path: string, entry: ZipEntry): ByteStream {
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
  return { name, size: entry.size, packed: entry.packedSize, open: pieces };
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
function localNameAndExtra(path: string, entry: ZipEntry): number {
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
