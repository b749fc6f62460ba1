/** Archives: the same files give the same bytes, other programs read them, and modes, dates and owners are what they should be. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ArchiveFile, archive } from "../../scripts/release/archives.ts";

const work = mkdtempSync(join(tmpdir(), "minmaxq-archives-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const FILES: readonly ArchiveFile[] = [
  { name: "top/program", bytes: new Uint8Array(70_000).fill(7), isExecutable: true },
  { name: "top/LICENSE", bytes: new TextEncoder().encode("text\n") },
  { name: "top/man/a.1", bytes: new Uint8Array(0) },
];
/** 2026-11-27T10:20:30Z. */
const TIME = 1_795_774_830;

async function listed(kind: "tar.gz" | "tar.zst" | "zip", words: readonly string[]): Promise<string[]> {
  const path = join(work, `archive.${kind}`);
  await Bun.write(path, await archive(kind, FILES, TIME));
  const { stdout } = Bun.spawnSync([...words, path], { env: { PATH: "/usr/bin:/bin", TZ: "UTC", LC_ALL: "C" } });
  return stdout.toString().trim().split("\n");
}

for (const kind of ["tar.gz", "tar.zst"] as const)
  test(`${kind}, as tar lists it`, async () => {
    const lines = await listed(kind, ["tar", "--full-time", "-tvf"]);
    expect(lines.map((line) => line.replace(/ +/g, " "))).toEqual([
      "-rw-r--r-- 0/0 5 2026-11-27 10:20:30 top/LICENSE",
      "-rw-r--r-- 0/0 0 2026-11-27 10:20:30 top/man/a.1",
      "-rwxr-xr-x 0/0 70000 2026-11-27 10:20:30 top/program",
    ]);
  });

test("zip, as Python lists it", async () => {
  const program =
    "import sys,zipfile; print('\\n'.join(f'{oct(i.external_attr>>16)} {i.file_size} {i.date_time} {i.filename}' for i in zipfile.ZipFile(sys.argv[1]).infolist()))";
  expect(await listed("zip", ["python3", "-c", program])).toEqual([
    "0o100644 5 (2026, 11, 27, 10, 20, 30) top/LICENSE",
    "0o100644 0 (2026, 11, 27, 10, 20, 30) top/man/a.1",
    "0o100755 70000 (2026, 11, 27, 10, 20, 30) top/program",
  ]);
});

test("the order that files are given in, and the time zone, do not show", async () => {
  for (const kind of ["tar.gz", "tar.zst", "zip"] as const) {
    const first = await archive(kind, FILES, TIME);
    expect(Buffer.compare(await archive(kind, FILES.toReversed(), TIME), first)).toBe(0);
  }
  const module = join(import.meta.dir, "../../scripts/release/archives.ts");
  const program = `const { archive } = await import(${JSON.stringify(module)});
    console.log(Bun.hash(await archive("zip", [{ name: "a", bytes: new Uint8Array(9) }], ${TIME})));`;
  const hashes = ["UTC", "Asia/Tokyo", "America/New_York"].map((TZ) =>
    Bun.spawnSync([process.execPath, "-e", program], { env: { ...process.env, TZ } }).stdout.toString(),
  );
  expect(hashes[0]).toMatch(/\d/);
  expect(new Set(hashes).size).toBe(1);
});
