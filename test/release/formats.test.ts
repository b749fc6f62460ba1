/** What is read of executables: held to other programs' reading of them, and to files that were changed. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withoutSignature } from "../../scripts/release/executable.ts";
import { executableFacts } from "../../scripts/release/formats.ts";

setDefaultTimeout(60_000);

const work = mkdtempSync(join(tmpdir(), "minmaxq-formats-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** A program of one line for another platform. */
async function built(target: Bun.Build.CompileTarget): Promise<Uint8Array<ArrayBuffer>> {
  const entry = join(work, "program.ts");
  await Bun.write(entry, `console.log("the program is here");`);
  const outfile = join(work, target);
  await Bun.build({ entrypoints: [entry], compile: { target, outfile } });
  return new Uint8Array(readFileSync(target.includes("windows") ? `${outfile}.exe` : outfile));
}

function payloadOf(bytes: Uint8Array): string {
  const { offset, size } = executableFacts(bytes).payload!;
  return Buffer.from(bytes.subarray(offset, offset + size)).toString("latin1");
}

const tool = (name: string) => Bun.which(name) !== null;
const saidBy = (...words: string[]) => Bun.spawnSync(words).stdout.toString();

test("ELF, against readelf", () => {
  const path = process.execPath;
  const facts = executableFacts(new Uint8Array(readFileSync(path)));
  expect(facts.format).toBe("ELF");
  expect(facts.machine).toBe(process.arch as "x64");
  if (!tool("readelf")) return console.log("── readelf is not here: libraries and loader are not compared");
  const libraries = [...saidBy("readelf", "-d", path).matchAll(/\(NEEDED\).*\[(.*)\]/g)].map((match) => match[1]!);
  expect(facts.libraries).toEqual(libraries);
  expect(facts.loader).toBe(/interpreter: (.*)\]/.exec(saidBy("readelf", "-l", path))![1]!);
});

test("PE, against objdump", async () => {
  const bytes = await built("bun-windows-x64-baseline");
  const facts = executableFacts(bytes);
  expect(facts).toMatchObject({ format: "PE", machine: "x64" });
  expect(payloadOf(bytes)).toContain("the program is here");
  if (!tool("objdump")) return console.log("── objdump is not here: libraries are not compared");
  const said = saidBy("objdump", "-p", join(work, "bun-windows-x64-baseline.exe"));
  const libraries = [...said.matchAll(/DLL Name: (.*)/g)].map((match) => match[1]!.trim());
  expect(libraries).toContain("KERNEL32.dll");
  expect(facts.libraries).toEqual(libraries);
});

let mac: Uint8Array<ArrayBuffer>;
beforeAll(async () => {
  mac = await built("bun-darwin-arm64");
});

test("Mach-O: machine, section, libraries of the system, signature", () => {
  const facts = executableFacts(mac);
  expect(facts).toMatchObject({ format: "Mach-O", machine: "arm64", signature: "valid" });
  expect(facts.libraries).toContain("/usr/lib/libSystem.B.dylib");
  expect(facts.system).toMatch(/^macOS \d+\.\d+$/);
  expect(payloadOf(mac)).toContain("the program is here");
});

test("a byte that is changed breaks Mach-O's signature, wherever it is", () => {
  const { payload } = executableFacts(mac);
  for (const at of [40, 5_000_000, payload!.offset + 100]) {
    mac[at]! ^= 1;
    expect(executableFacts(mac).signature).toBe("broken");
    mac[at]! ^= 1;
  }
  expect(executableFacts(mac).signature).toBe("valid");
});

test("for Intel, what Bun builds has a signature that is broken; a release has none", async () => {
  const bytes = await built("bun-darwin-x64");
  expect(executableFacts(bytes)).toMatchObject({ machine: "x64", signature: "broken" });
  const bare = withoutSignature(bytes);
  expect(executableFacts(bare)).toEqual({ ...executableFacts(bytes), signature: "none" });
  expect(payloadOf(bare)).toContain("the program is here");
  // The last segment ends where the file does: dyld refuses others.
  const view = new DataView(bare.buffer, bare.byteOffset);
  const segment = Buffer.from(bare.buffer, bare.byteOffset, bare.byteLength).indexOf("__LINKEDIT") - 8;
  expect(view.getBigUint64(segment + 40, true) + view.getBigUint64(segment + 48, true)).toBe(BigInt(bare.length));
  expect(() => withoutSignature(bare)).toThrow("the signature is not at the end");
});

test("what is no executable, or for another machine", () => {
  expect(() => executableFacts(new Uint8Array(100))).toThrow("neither ELF nor Mach-O");
  const other = new Uint8Array(readFileSync(process.execPath));
  other[0x12] = 243; // RISC-V
  expect(() => executableFacts(other)).toThrow("is for machine 0xf3");
});
