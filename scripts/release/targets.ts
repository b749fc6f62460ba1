/**
 * THE RELEASES: one row a platform. The release script, the npm packages, the check of all executables, the tests and the table in
 * docs/platforms.md follow from it.
 */

export type Format = "ELF" | "Mach-O" | "PE";
export type Machine = "x64" | "arm64";
export type ArchiveKind = "tar.gz" | "tar.zst" | "zip";

/** How an executable that was built for another machine is started on this one (Linux x64). */
export type Starter =
  /** As it is. */
  | "itself"
  /** In a folder of its own that has musl (start.ts). */
  | "musl"
  /** By qemu-user, with the C library of that machine. */
  | "qemu"
  /** By Wine, where it is there. */
  | "wine"
  /** Not here: format, sections and embedded files are checked alone. */
  | "never";

export interface ReleaseTarget {
  /** Part of every file's name: minmaxq-VERSION-NAME.tar.gz. */
  readonly name: string;
  /** What Bun calls it. */
  readonly bun: Bun.Build.CompileTarget;
  /** For people. */
  readonly runsOn: string;
  readonly format: Format;
  readonly machine: Machine;
  /** The C library's dynamic loader that the executable names; Windows and macOS have none of that kind. */
  readonly loader?: string;
  readonly executable: "minmaxq" | "minmaxq.exe";
  readonly archives: readonly ArchiveKind[];
  /** What npm compares with the machine; absent where npm cannot tell the machines apart that it is for. */
  readonly npm?: { readonly os: string; readonly cpu: Machine; readonly libc?: "glibc" | "musl" };
  readonly starter: Starter;
}

const UNIX = { executable: "minmaxq", archives: ["tar.gz", "tar.zst"] } as const;
const LINUX = { ...UNIX, format: "ELF" } as const;

/**
 * x64 has no row for old CPUs: what Bun 1.4.5 publishes as "baseline" and as "modern" are the same bytes, which choose by the CPU that they find. AVX is
 * needed all the same (2011), because JavaScriptCore's WebAssembly SIMD is.
 */
export const TARGETS: readonly ReleaseTarget[] = [
  {
    name: "linux-x64",
    bun: "bun-linux-x64-baseline",
    runsOn: "Linux with glibc (Debian, Ubuntu, Fedora, RHEL …), x86-64 with AVX",
    ...LINUX,
    machine: "x64",
    loader: "/lib64/ld-linux-x86-64.so.2",
    npm: { os: "linux", cpu: "x64", libc: "glibc" },
    starter: "itself",
  },
  {
    name: "linux-x64-musl",
    bun: "bun-linux-x64-baseline-musl",
    runsOn: "Linux with musl (Alpine) and libstdc++, x86-64 with AVX",
    ...LINUX,
    machine: "x64",
    loader: "/lib/ld-musl-x86_64.so.1",
    npm: { os: "linux", cpu: "x64", libc: "musl" },
    starter: "musl",
  },
  {
    name: "linux-arm64",
    bun: "bun-linux-arm64",
    runsOn: "Linux on ARM with glibc (Graviton, Ampere, Raspberry Pi OS 64-bit)",
    ...LINUX,
    machine: "arm64",
    loader: "/lib/ld-linux-aarch64.so.1",
    npm: { os: "linux", cpu: "arm64", libc: "glibc" },
    starter: "qemu",
  },
  {
    name: "linux-arm64-musl",
    bun: "bun-linux-arm64-musl",
    runsOn: "Linux on ARM with musl (Alpine) and libstdc++",
    ...LINUX,
    machine: "arm64",
    loader: "/lib/ld-musl-aarch64.so.1",
    npm: { os: "linux", cpu: "arm64", libc: "musl" },
    starter: "qemu",
  },
  {
    name: "darwin-x64",
    bun: "bun-darwin-x64",
    runsOn: "macOS 13 and later, Intel",
    ...UNIX,
    format: "Mach-O",
    machine: "x64",
    npm: { os: "darwin", cpu: "x64" },
    starter: "never",
  },
  {
    name: "darwin-arm64",
    bun: "bun-darwin-arm64",
    runsOn: "macOS 13 and later, Apple silicon",
    ...UNIX,
    format: "Mach-O",
    machine: "arm64",
    npm: { os: "darwin", cpu: "arm64" },
    starter: "never",
  },
  {
    name: "windows-x64",
    bun: "bun-windows-x64-baseline",
    runsOn: "Windows 10 1809 and later, x86-64 with AVX",
    format: "PE",
    machine: "x64",
    executable: "minmaxq.exe",
    archives: ["zip"],
    npm: { os: "win32", cpu: "x64" },
    starter: "wine",
  },
];

/** The rows with these names, or all. Throws for a name that there is none of. */
export function targetsNamed(names: readonly string[]): readonly ReleaseTarget[] {
  const unknown = names.find((name) => !TARGETS.some((target) => target.name === name));
  if (unknown !== undefined)
    throw new Error(`${unknown}: is no release; there are ${TARGETS.map(({ name }) => name).join(", ")}`);
  return names.length === 0 ? TARGETS : TARGETS.filter(({ name }) => names.includes(name));
}
