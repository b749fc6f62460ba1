/** An executable of a release: what Bun compiles, made fit for its system. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { compileExecutable } from "../../build.ts";
import { executableFacts } from "./formats.ts";
import type { ReleaseTarget } from "./targets.ts";

/** Builds it at `path`. */
export async function releaseExecutable(target: ReleaseTarget, path: string): Promise<void> {
  await compileExecutable(path, target.bun);
  if (target.format !== "Mach-O") return;
  const bytes = new Uint8Array(readFileSync(path));
  // Bun signs for Apple silicon alone. For Intel its own signature stays, which the program behind it has broken: macOS would end the process.
  if (executableFacts(bytes).signature !== "broken") return;
  writeFileSync(path, withoutSignature(bytes));
  chmodSync(path, 0o755);
}

const LC_SEGMENT_64 = 0x19;
const LC_CODE_SIGNATURE = 0x1d;

/**
 * The Mach-O file as `codesign --remove-signature` leaves it: without the load command, which has to be the last one, and without the bytes at the file's
 * end. macOS on Intel starts what is not signed. Throws where the signature lies elsewhere.
 */
export function withoutSignature(file: Uint8Array): Uint8Array {
  const bytes = file.slice();
  const view = new DataView(bytes.buffer);
  const [count, size] = [view.getUint32(16, true), view.getUint32(20, true)];
  let linkedit: number | undefined;
  let at = 32;
  for (let i = 0; i < count - 1; i++) {
    const isSegment = view.getUint32(at, true) === LC_SEGMENT_64;
    if (isSegment && Buffer.from(bytes.subarray(at + 8, at + 18)).toString("latin1") === "__LINKEDIT") linkedit = at;
    at += view.getUint32(at + 4, true);
  }
  const start = view.getUint32(at + 8, true);
  const isLast =
    view.getUint32(at, true) === LC_CODE_SIGNATURE && start + view.getUint32(at + 12, true) === bytes.length;
  if (linkedit === undefined || !isLast)
    throw new Error("the signature is not at the end of the file; look at scripts/release/executable.ts");
  view.setUint32(16, count - 1, true);
  view.setUint32(20, size - view.getUint32(at + 4, true), true);
  view.setBigUint64(linkedit + 48, BigInt(start) - view.getBigUint64(linkedit + 40, true), true);
  bytes.fill(0, at, at + view.getUint32(at + 4, true));
  return bytes.subarray(0, start);
}
