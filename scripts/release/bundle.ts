/** What the executable's bundle holds: packages, and how many bytes of each. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BUNDLE } from "../../build.ts";

const ROOT = join(import.meta.dir, "../..");

export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly home: string;
  /** Texts of its licence files, by their names. */
  readonly texts: ReadonlyMap<string, string>;
}

export interface Bundle {
  readonly packages: readonly BundledPackage[];
  /** Files that are embedded as they are, by name. */
  readonly assets: ReadonlyMap<string, Uint8Array>;
  /** Bytes of all scripts. */
  readonly code: number;
}

/** Bundles as the build does, and tells what is in it. Throws when that fails. */
export async function readBundle(): Promise<Bundle> {
  const folder = mkdtempSync(join(tmpdir(), "minmaxq-bundle-"));
  try {
    const { outputs, metafile } = await Bun.build({ ...BUNDLE, outdir: folder, metafile: true });
    const inputs = Object.keys(metafile!.inputs);
    const names = [...new Set(inputs.map(packageOf).filter((name) => name !== undefined))].sort();
    const assets = outputs.filter(({ kind }) => kind === "asset");
    const contents = assets.map(
      async (file) => [assetName(file.path), new Uint8Array(await file.arrayBuffer())] as const,
    );
    return {
      packages: names.map(readPackage),
      assets: new Map(await Promise.all(contents)),
      code: outputs.filter(({ kind }) => kind !== "asset").reduce((sum, { size }) => sum + size, 0),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The package that a file of the bundle is of: its folder below the last node_modules. */
function packageOf(path: string): string | undefined {
  return /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path.replaceAll("\\", "/"))?.[0]?.replace(/\/$/, "");
}

/** Without the hash that tells two files of one name apart. */
function assetName(path: string): string {
  return path.replace(/^.*[\\/]/, "").replace(/-[a-z0-9]{8}\./, ".");
}

function readPackage(path: string): BundledPackage {
  const folder = join(ROOT, path.slice(path.indexOf("node_modules")));
  const facts = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    name: string;
    version: string;
    license?: string;
    homepage?: string;
  };
  const texts = new Map<string, string>();
  for (const inside of ["", "codec"])
    for (const name of namesIn(join(folder, inside)))
      if (/^(licen[cs]e|copying|notice)\b.*(?<!\.[jt]s)$/i.test(name))
        texts.set(join(inside, name), readFileSync(join(folder, inside, name), "utf8").trim());
  return {
    name: facts.name,
    version: facts.version,
    license: facts.license ?? "",
    home: facts.homepage ?? `https://www.npmjs.com/package/${facts.name}`,
    texts,
  };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
