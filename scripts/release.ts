/**
 * Builds all that people download, into dist/release:
 *
 *     bun run release [--only NAME,NAME] [--out FOLDER] [--executables]
 *
 *     minmaxq-VERSION-PLATFORM.tar.gz, .tar.zst, .zip    executable, licences, man pages, completions
 *     minmaxq-VERSION.cdx.json                           SBOM (CycloneDX)
 *     SHA256SUMS                                         of all of them
 *     npm/*.tgz                                          packages for npm
 *     executables/PLATFORM/                              what the archives hold; with --executables nothing else is made
 *
 * Platforms are rows of release/targets.ts. The same commit gives the same bytes on every machine: nothing of a machine is in them, and files are
 * dated by the commit (or SOURCE_DATE_EPOCH).
 */
import { readFileSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { generate } from "../build.ts";
import pkg from "../package.json" with { type: "json" };
import { type ArchiveFile, archive } from "./release/archives.ts";
import { readBundle } from "./release/bundle.ts";
import { releaseExecutable } from "./release/executable.ts";
import { noticesText } from "./release/notices.ts";
import { npmPackages } from "./release/npm.ts";
import { provenanceOf, releaseTime } from "./release/provenance.ts";
import { sbomText } from "./release/sbom.ts";
import { type ReleaseTarget, targetsNamed } from "./release/targets.ts";

const ROOT = join(import.meta.dir, "..");
const bytesOf = (path: string) => new Uint8Array(readFileSync(path));
const textBytes = (text: string) => new TextEncoder().encode(text);

/** Builds these platforms' executables into `out`; with `packed` what people download, too. Gives the files' names, sums last. */
export async function release(targets: readonly ReleaseTarget[], out: string, packed: boolean): Promise<string[]> {
  rmSync(out, { recursive: true, force: true });
  const names: string[] = [];
  const tell = (name: string) => {
    names.push(name);
    console.log(`${name.padEnd(52)} ${(statSync(join(out, name)).size / 1e6).toFixed(1).padStart(6)} MB`);
  };
  for (const target of targets) {
    const name = nameOf(target);
    await releaseExecutable(target, join(out, name));
    tell(name);
  }
  if (packed) await pack(targets, out, tell);
  const sums = names.map((name) => `${sha256(join(out, name))}  ${name}\n`);
  await Bun.write(join(out, "SHA256SUMS"), sums.sort().join(""));
  tell("SHA256SUMS");
  return names;
}

/** Where an executable is below the folder of a release. */
export function nameOf({ name, executable }: ReleaseTarget): string {
  return `executables/${name}/${executable}`;
}

async function pack(targets: readonly ReleaseTarget[], out: string, tell: (name: string) => void): Promise<void> {
  const time = releaseTime();
  const write = async (name: string, bytes: Uint8Array | string) => {
    await Bun.write(join(out, name), bytes);
    tell(name);
  };
  const { packages } = await readBundle();
  const common: ArchiveFile[] = [
    { name: "LICENSE", bytes: bytesOf(join(ROOT, "LICENSE")) },
    { name: "THIRD-PARTY-NOTICES.txt", bytes: textBytes(noticesText(packages)) },
    { name: "README.md", bytes: bytesOf(join(ROOT, "README.md")) },
  ];
  const manual = await manualFiles();
  for (const target of targets) {
    const file = { name: target.executable, bytes: bytesOf(join(out, nameOf(target))), isExecutable: true };
    const stem = `${pkg.name}-${pkg.version}-${target.name}`;
    const inside = [file, ...common, ...manual].map((each) => ({ ...each, name: `${stem}/${each.name}` }));
    for (const kind of target.archives) await write(`${stem}.${kind}`, await archive(kind, inside, time));
  }
  await write(`${pkg.name}-${pkg.version}.cdx.json`, sbomText(packages, provenanceOf("").commit, time));
  for (const { name, files } of await npmPackages(targets, (target) => join(out, nameOf(target)), common))
    await write(`npm/${name}`, await archive("tar.gz", files, NPM_TIME));
}

/** The date that npm gives to files of all packages: 26 October 1985. */
const NPM_TIME = 499_162_500;

function sha256(path: string): string {
  return new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex");
}

/** Man pages and completions; made of the tables, whose generated parts have to be there. */
async function manualFiles(): Promise<ArchiveFile[]> {
  const { manualTexts } = await import("./write-manual.ts");
  return [...(await manualTexts())].map(([name, text]) => ({
    name: name.replaceAll("\\", "/"),
    bytes: textBytes(text),
  }));
}

if (import.meta.main) {
  const options = { only: { type: "string" }, out: { type: "string" }, executables: { type: "boolean" } } as const;
  const { values } = parseArgs({ options });
  const out = resolve(values.out ?? join(ROOT, "dist/release"));
  process.chdir(ROOT);
  try {
    const targets = targetsNamed(values.only?.split(",") ?? []);
    await generate();
    await release(targets, out, values.executables !== true);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}
