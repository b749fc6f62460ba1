/**
 * Builds all that people download, into dist/release and dist/npm:
 *
 *     bun run release [--only NAME,NAME] [--out FOLDER]
 *
 *     minmaxq-VERSION-PLATFORM.tar.gz, .tar.zst, .zip    executable, licences, man pages, completions
 *     minmaxq-VERSION.cdx.json                           SBOM (CycloneDX)
 *     SHA256SUMS                                         of all of them
 *     npm/*.tgz                                          packages for npm
 *
 * Platforms are rows of release/targets.ts. The same commit gives the same bytes on every machine: nothing of a machine is in them, and files are
 * dated by the commit (or SOURCE_DATE_EPOCH).
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { compileExecutable, generate } from "../build.ts";
import pkg from "../package.json" with { type: "json" };
import { type ArchiveFile, archive } from "./release/archives.ts";
import { readBundle } from "./release/bundle.ts";
import { noticesText } from "./release/notices.ts";
import { npmPackages } from "./release/npm.ts";
import { provenanceOf, releaseTime } from "./release/provenance.ts";
import { sbomText } from "./release/sbom.ts";
import { type ReleaseTarget, targetsNamed } from "./release/targets.ts";

const ROOT = join(import.meta.dir, "..");
const bytesOf = (path: string) => new Uint8Array(readFileSync(path));
const textBytes = (text: string) => new TextEncoder().encode(text);

/** Builds these platforms into `out`; tells each file. Gives the files' names, sums last. */
export async function release(
  targets: readonly ReleaseTarget[],
  out: string,
  say: (line: string) => void = console.log,
): Promise<string[]> {
  const time = releaseTime();
  rmSync(out, { recursive: true, force: true });
  mkdirSync(join(out, "npm"), { recursive: true });
  const names: string[] = [];
  const write = async (name: string, bytes: Uint8Array | string) => {
    await Bun.write(join(out, name), bytes);
    names.push(name);
    say(`${name.padEnd(52)} ${(bytes.length / 1e6).toFixed(1).padStart(6)} MB`);
  };
  const { packages } = await readBundle();
  const notices = textBytes(noticesText(packages));
  const common: ArchiveFile[] = [
    { name: "LICENSE", bytes: bytesOf(join(ROOT, "LICENSE")) },
    { name: "THIRD-PARTY-NOTICES.txt", bytes: notices },
    { name: "README.md", bytes: bytesOf(join(ROOT, "README.md")) },
  ];
  const manual = await manualFiles();
  for (const target of targets) {
    const executable = join(out, "executables", target.name, target.executable);
    await compileExecutable(executable, target.bun);
    const file = { name: target.executable, bytes: bytesOf(executable), isExecutable: true };
    const stem = `${pkg.name}-${pkg.version}-${target.name}`;
    const inside = [file, ...common, ...manual].map((each) => ({ ...each, name: `${stem}/${each.name}` }));
    for (const kind of target.archives) await write(`${stem}.${kind}`, await archive(kind, inside, time));
  }
  await write(`${pkg.name}-${pkg.version}.cdx.json`, sbomText(packages, provenanceOf("").commit, time));
  const executableOf = ({ name, executable }: ReleaseTarget) => join(out, "executables", name, executable);
  for (const { name, files } of await npmPackages(targets, executableOf, common))
    await write(join("npm", name), await archive("tar.gz", files, NPM_TIME));
  const sums = names.map((name) => `${sha256(join(out, name))}  ${name.replaceAll("\\", "/")}\n`);
  await write("SHA256SUMS", sums.sort().join(""));
  return names;
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
  const options = { only: { type: "string" }, out: { type: "string" } } as const;
  const { values } = parseArgs({ options });
  const out = resolve(values.out ?? join(ROOT, "dist/release"));
  process.chdir(ROOT);
  try {
    const targets = targetsNamed(values.only?.split(",") ?? []);
    await generate();
    await release(targets, out);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}
