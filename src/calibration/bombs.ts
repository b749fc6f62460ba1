/**
 * Decompression bombs: a few bytes that unpack to very many. What is read piece by piece takes no memory, but time without end; and a record that the
 * model leaves the size of is in memory as a whole. So both are refused by what the file declares, before anything is unpacked.
 */
import { FileError } from "../base/errors.ts";
import { sizeText } from "../base/text.ts";

/** Deflate makes at most 1032 bytes of one; samples that are worth recording are not so empty. */
const MOST_TIMES = 200;
/** Bytes that are let through however small their file is: masks of ones, padding. */
const LARGE = 2 ** 30;
const LARGE_RECORD = 64 * 2 ** 20;
/** More than LiteRT's memory holds. */
const LARGEST_RECORD = 2 ** 31;

export interface Unpacked {
  /** How messages call it. */
  readonly name: string;
  /** Bytes in the file, and what becomes of them: of all records, and of one. */
  readonly packed: number;
  readonly all: number;
  readonly record: number;
}

/** Throws a FileError for what unpacks to far more than samples do. */
export function refuseBomb({ name, packed, all, record }: Unpacked): void {
  if (record > LARGEST_RECORD)
    throw new FileError(name, `has samples of ${sizeText(record)} each, more than LiteRT's memory of 2 GiB holds`);
  const isLarge = all > LARGE || record > LARGE_RECORD;
  if (isLarge && all > MOST_TIMES * packed)
    throw new FileError(
      name,
      `would unpack ${sizeText(packed)} to ${sizeText(all)}, as decompression bombs do, and is not read; save it unpacked (np.savez) if it is meant so`,
      { code: "decompression-bomb" },
    );
}
