/**
 * What an executable says of itself, whatever machine it is for: ELF, Mach-O and PE, as far as a release has to be checked without starting it.
 *
 * Sources: System V ABI (ELF), Apple's <mach-o/loader.h> and <kern/cs_blobs.h>, Microsoft's PE format specification.
 */
import type { Format, Machine } from "./targets.ts";

export interface ExecutableFacts {
  readonly format: Format;
  readonly machine: Machine;
  /** The dynamic loader that an ELF file names. */
  readonly loader?: string;
  /** Shared libraries that have to be there. */
  readonly libraries: readonly string[];
  /** The section that holds the program: its place in the file. Without it, it is a bare runtime. */
  readonly payload?: { readonly offset: number; readonly size: number };
  /** Of Mach-O: whether every page is what its signature says. macOS starts nothing on Apple silicon where it is not. */
  readonly signature?: "valid" | "broken" | "none";
  /** Of Mach-O and PE: the oldest version of the system, as the file says. */
  readonly system?: string;
}

const PAYLOAD = ".bun";

/** Reads the headers. Throws an Error for a file of no format that is known here. */
export function executableFacts(bytes: Uint8Array): ExecutableFacts {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) === 0x7f454c46) return elf(bytes, view);
  if (view.getUint32(0, true) === 0xfeedfacf) return machO(bytes, view);
  if (view.getUint16(0) === 0x4d5a) return pe(bytes, view);
  throw new Error("is neither ELF nor Mach-O (64 bits, little-endian) nor PE");
}

function textAt(bytes: Uint8Array, at: number, most = 256): string {
  const end = bytes.subarray(at, at + most).indexOf(0);
  return Buffer.from(bytes.subarray(at, at + (end < 0 ? most : end))).toString("latin1");
}

function machineOf(code: number, codes: Readonly<Record<number, Machine>>): Machine {
  const machine = codes[code];
  if (machine === undefined) throw new Error(`is for machine 0x${code.toString(16)}, which no release is for`);
  return machine;
}

const SHT_DYNAMIC = 6;
const DT_NEEDED = 1n;

function elf(bytes: Uint8Array, view: DataView): ExecutableFacts {
  const long = (at: number) => Number(view.getBigUint64(at, true));
  const table = long(0x28);
  const [entry, count, names] = [0x3a, 0x3c, 0x3e].map((at) => view.getUint16(at, true)) as [number, number, number];
  const sections = Array.from({ length: count }, (_, i) => {
    const at = table + i * entry;
    const [name, type] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
    return { name, type, offset: long(at + 0x18), size: long(at + 0x20), link: view.getUint32(at + 0x28, true) };
  });
  const named = (name: string) => sections.find((each) => textAt(bytes, sections[names]!.offset + each.name) === name);
  const interpreter = named(".interp");
  const dynamic = sections.find(({ type }) => type === SHT_DYNAMIC);
  const libraries: string[] = [];
  for (let at = dynamic?.offset ?? 0; dynamic && at < dynamic.offset + dynamic.size; at += 16)
    if (view.getBigUint64(at, true) === DT_NEEDED)
      libraries.push(textAt(bytes, sections[dynamic.link]!.offset + long(at + 8)));
  const payload = named(PAYLOAD);
  return {
    format: "ELF",
    machine: machineOf(view.getUint16(0x12, true), { 62: "x64", 183: "arm64" }),
    ...(interpreter && { loader: textAt(bytes, interpreter.offset) }),
    libraries,
    ...(payload && { payload: { offset: payload.offset, size: payload.size } }),
  };
}

const LC_LOAD_DYLIB = 0xc;
const LC_SEGMENT_64 = 0x19;
const LC_CODE_SIGNATURE = 0x1d;
const LC_BUILD_VERSION = 0x32;

function machO(bytes: Uint8Array, view: DataView): ExecutableFacts {
  const libraries: string[] = [];
  let payload: ExecutableFacts["payload"];
  let signature: ExecutableFacts["signature"] = "none";
  let system: string | undefined;
  let at = 32;
  for (let i = 0; i < view.getUint32(16, true); i++) {
    const [command, size] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
    if (command === LC_LOAD_DYLIB) libraries.push(textAt(bytes, at + view.getUint32(at + 8, true)));
    if (command === LC_SEGMENT_64 && textAt(bytes, at + 8, 16) === "__BUN")
      payload = { offset: Number(view.getBigUint64(at + 40, true)), size: Number(view.getBigUint64(at + 48, true)) };
    if (command === LC_CODE_SIGNATURE)
      signature = checkSignature(bytes, view, view.getUint32(at + 8, true)) ? "valid" : "broken";
    if (command === LC_BUILD_VERSION) {
      const version = view.getUint32(at + 12, true);
      system = `macOS ${version >>> 16}.${(version >>> 8) & 255}`;
    }
    at += size;
  }
  return {
    format: "Mach-O",
    machine: machineOf(view.getUint32(4, true), { 16777223: "x64", 16777228: "arm64" }),
    libraries,
    signature,
    ...(payload && { payload }),
    ...(system !== undefined && { system }),
  };
}

const CODE_DIRECTORY = 0xfade0c02;
const SHA256 = 2;

/** Whether the hashes of all pages are those of the code directory (numbers of signatures are big-endian). */
function checkSignature(bytes: Uint8Array, view: DataView, blob: number): boolean {
  const count = view.getUint32(blob + 8);
  const blobs = Array.from({ length: count }, (_, i) => blob + view.getUint32(blob + 16 + 8 * i));
  const directory = blobs.find((each) => view.getUint32(each) === CODE_DIRECTORY);
  if (directory === undefined || view.getUint8(directory + 37) !== SHA256) return false;
  const [hashes, slots, limit] = [16, 28, 32].map((field) => view.getUint32(directory + field)) as [
    number,
    number,
    number,
  ];
  const [hashSize, page] = [view.getUint8(directory + 36), 2 ** view.getUint8(directory + 39)];
  if (slots !== Math.ceil(limit / page)) return false;
  for (let slot = 0; slot < slots; slot++) {
    const content = bytes.subarray(slot * page, Math.min(limit, (slot + 1) * page));
    const said = bytes.subarray(directory + hashes + slot * hashSize, directory + hashes + (slot + 1) * hashSize);
    if (Buffer.compare(new Bun.CryptoHasher("sha256").update(content).digest().subarray(0, hashSize), said) !== 0)
      return false;
  }
  return true;
}

function pe(bytes: Uint8Array, view: DataView): ExecutableFacts {
  const header = view.getUint32(0x3c, true);
  if (view.getUint32(header, true) !== 0x4550) throw new Error("begins as a DOS program and is no PE file");
  const optional = header + 24;
  const table = optional + view.getUint16(header + 20, true);
  const sections = Array.from({ length: view.getUint16(header + 6, true) }, (_, i) => {
    const at = table + 40 * i;
    const [size, address, stored, offset] = [8, 12, 16, 20].map((field) =>
      view.getUint32(at + field, true),
    ) as number[];
    return { name: textAt(bytes, at, 8), size: size!, address: address!, stored: stored!, offset: offset! };
  });
  const place = (address: number) => {
    const section = sections.find((each) => address >= each.address && address < each.address + each.stored)!;
    return section.offset + address - section.address;
  };
  const libraries: string[] = [];
  // The second data directory: import descriptors of 20 bytes up to one without a name.
  const imports = view.getUint32(optional + 120, true);
  for (let at = place(imports); view.getUint32(at + 12, true) !== 0; at += 20)
    libraries.push(textAt(bytes, place(view.getUint32(at + 12, true))));
  const payload = sections.find(({ name }) => name === PAYLOAD);
  return {
    format: "PE",
    machine: machineOf(view.getUint16(header + 4, true), { 34404: "x64", 43620: "arm64" }),
    libraries,
    ...(payload && { payload: { offset: payload.offset, size: payload.size } }),
    system: `Windows ${view.getUint16(optional + 48, true)}.${view.getUint16(optional + 50, true)}`,
  };
}
