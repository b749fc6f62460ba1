/** Archives whose bytes follow from what is in them: no owner, no order of a disk, one date. */
import { zipSync } from "fflate";
import { pack } from "tar-stream";
import type { ArchiveKind } from "./targets.ts";

export interface ArchiveFile {
  /** With / between folders. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly isExecutable?: boolean;
}

/** Higher levels of Zstandard take minutes for 1 % less. */
const LEVELS = { "tar.gz": 9, "tar.zst": 12, zip: 9 } as const;

/** The archive's bytes; `time` in seconds since 1970 is every file's. A low `level` is for tests. */
export async function archive(
  kind: ArchiveKind,
  files: readonly ArchiveFile[],
  time: number,
  level: number = LEVELS[kind],
): Promise<Uint8Array> {
  const sorted = files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  if (kind === "zip") return zip(sorted, time, level);
  const bytes = await tar(sorted, time);
  return kind === "tar.gz" ? Bun.gzipSync(bytes, { level: level as 9 }) : Bun.zstdCompressSync(bytes, { level });
}

const modeOf = ({ isExecutable }: ArchiveFile) => (isExecutable ? 0o755 : 0o644);

async function tar(files: readonly ArchiveFile[], time: number): Promise<Uint8Array<ArrayBuffer>> {
  const stream = pack();
  for (const file of files) {
    const header = { name: file.name, mode: modeOf(file), mtime: new Date(time * 1000), uid: 0, gid: 0 };
    stream.entry(header, Buffer.from(file.bytes.buffer, file.bytes.byteOffset, file.bytes.byteLength));
  }
  stream.finalize();
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece as Uint8Array);
  return new Uint8Array(Buffer.concat(pieces));
}

/** A ZIP's dates are local, so they are put where they read as UTC; and begin in 1980. */
function zip(files: readonly ArchiveFile[], time: number, level: number): Uint8Array {
  const utc = new Date(Math.max(time, 315_619_200) * 1000);
  const mtime = new Date(utc.getTime() + utc.getTimezoneOffset() * 60_000);
  const entries = files.map((file) => [
    file.name,
    // Made on Unix (3), so that the mode counts.
    [file.bytes, { mtime, os: 3, attrs: (0o100000 | modeOf(file)) << 16 }] as const,
  ]);
  return zipSync(Object.fromEntries(entries), { level: level as 9 });
}
