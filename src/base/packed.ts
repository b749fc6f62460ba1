/** Embedded files that the build has compressed (scripts/pack-wasm.ts); from source they are as they came. */
import { readFileSync } from "node:fs";

/** How Zstandard's frames begin (RFC 8878, 3.1.1). */
const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];

/** The bytes themselves, whether they were compressed or not. */
export function unpacked(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return MAGIC.every((byte, i) => bytes[i] === byte) ? new Uint8Array(Bun.zstdDecompressSync(bytes)) : bytes;
}

/** What an embedded file holds. */
export function unpackedFile(path: string): Uint8Array<ArrayBuffer> {
  return unpacked(new Uint8Array(readFileSync(path)));
}
