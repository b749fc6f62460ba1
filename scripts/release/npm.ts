/**
 * Packages for npm, made as esbuild's are: `minmaxq` has scripts and types alone, and names a package for each platform as an optional dependency.
 * npm installs the one whose os, cpu and libc are the machine's. No package runs anything when it is installed.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, normalize, relative } from "node:path";
import pkg from "../../package.json" with { type: "json" };
import type { ArchiveFile } from "./archives.ts";
import { type ReleaseTarget, TARGETS } from "./targets.ts";

const ROOT = join(import.meta.dir, "../..");
const NODE = ">=20";

export interface NpmPackage {
  /** The tarball's file name. */
  readonly name: string;
  readonly files: readonly ArchiveFile[];
}

/** The package of `targets` that npm has, then `minmaxq`, which names those of all. `licences` go into each. */
export async function npmPackages(
  targets: readonly ReleaseTarget[],
  executableOf: (target: ReleaseTarget) => string,
  licences: readonly ArchiveFile[],
): Promise<NpmPackage[]> {
  const texts = licences.filter(({ name }) => name !== "README.md");
  const platforms = targets
    .filter(({ npm }) => npm)
    .map((target) => {
      const bytes = new Uint8Array(readFileSync(executableOf(target)));
      const readme = `# ${nameOf(target)}\n\nThe executable of [minmaxq](https://www.npmjs.com/package/minmaxq) for ${target.runsOn}.\n`;
      return packageOf(platformManifest(target), [
        { name: target.executable, bytes, isExecutable: true },
        { name: "README.md", bytes: bytesOf(readme) },
        ...texts,
      ]);
    });
  const readme = readFileSync(join(ROOT, "docs/npm.md"), "utf8");
  const own = packageOf(ownManifest(), [
    ...(await scripts()),
    ...(await types()),
    { name: "README.md", bytes: bytesOf(readme) },
    ...texts.filter(({ name }) => name === "LICENSE"),
  ]);
  return [...platforms, own];
}

/** "@minmaxq/linux-x64-musl": what library/executable.ts looks for. */
function nameOf({ npm }: ReleaseTarget): string {
  const { os, cpu, libc } = npm!;
  return `@minmaxq/${os}-${cpu}${libc === "musl" ? "-musl" : ""}`;
}

const COMMON = { version: pkg.version, license: pkg.license };

function platformManifest(target: ReleaseTarget) {
  const { os, cpu, libc } = target.npm!;
  return {
    name: nameOf(target),
    ...COMMON,
    description: `minmaxq's executable for ${target.runsOn}`,
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
    // Large, and useless when packed: pnpm and Yarn would run it from a ZIP.
    preferUnplugged: true,
  };
}

function ownManifest() {
  const all = TARGETS.filter(({ npm }) => npm).map((target) => [nameOf(target), pkg.version] as const);
  return {
    name: pkg.name,
    ...COMMON,
    description: pkg.description,
    keywords: ["quantization", "tflite", "litert", "circle", "one", "int8", "post-training"],
    type: "module",
    bin: { minmaxq: "bin/minmaxq.js" },
    exports: {
      ".": { types: "./types/library/index.d.ts", default: "./index.js" },
      "./package.json": "./package.json",
    },
    types: "./types/library/index.d.ts",
    engines: { node: NODE },
    optionalDependencies: Object.fromEntries(all),
  };
}

function packageOf(manifest: { name: string; version: string }, files: readonly ArchiveFile[]): NpmPackage {
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  return {
    name: `${manifest.name.replace("@", "").replace("/", "-")}-${manifest.version}.tgz`,
    files: [{ name: "package.json", bytes: bytesOf(text) }, ...files].map((file) => ({
      ...file,
      name: `package/${file.name}`,
    })),
  };
}

/** The library and the command as plain JavaScript for Node.js. */
async function scripts(): Promise<ArchiveFile[]> {
  const built = async (entry: string, name: string, isExecutable: boolean): Promise<ArchiveFile> => {
    const { outputs } = await Bun.build({ entrypoints: [join(ROOT, entry)], target: "node", format: "esm" });
    return { name, bytes: new Uint8Array(await outputs[0]!.arrayBuffer()), isExecutable };
  };
  return [await built("library/index.ts", "index.js", false), await built("library/cli.ts", "bin/minmaxq.js", true)];
}

/** Declarations of the library, and of what they import. */
async function types(): Promise<ArchiveFile[]> {
  const out = mkdtempSync(join(tmpdir(), "minmaxq-types-"));
  try {
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const words = ["--project", join(ROOT, "library/tsconfig.json"), "--outDir", out];
    const { exitCode, stdout } = Bun.spawnSync([process.execPath, "run", "--bun", tsc, ...words], { cwd: ROOT });
    if (exitCode !== 0) throw new Error(`library: no declarations\n${stdout}`);
    const all = new Set(
      readdirSync(out, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".d.ts")),
    );
    const wanted = new Set<string>();
    const visit = (name: string) => {
      if (wanted.has(name) || !all.has(name)) return;
      wanted.add(name);
      const text = readFileSync(join(out, name), "utf8");
      for (const [, from] of text.matchAll(/(?:from |import\()"(\.[^"]+)\.ts"/g))
        visit(normalize(join(dirname(name), `${from}.d.ts`)));
    };
    visit(join("library", "index.d.ts"));
    const texts = [...wanted].map((name) => [name, readFileSync(join(out, name), "utf8")] as const);
    // The kernels' types are made by the build, beside the sources.
    const kernels = ["build/kernels.d.ts", readFileSync(join(ROOT, "build/kernels.d.ts"), "utf8")] as const;
    return [...texts, kernels].map(([name, text]) => ({
      name: `types/${relative(".", name).replaceAll("\\", "/")}`,
      bytes: bytesOf(withoutPackages(text)),
    }));
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** Who installs the library does not have the packages that are embedded in the executable; nothing of a Report is of their types. */
function withoutPackages(text: string): string {
  return text.replace(/^import type \{ ([\w, ]+) \} from "[^."][^"]*";$/gm, (_, names: string) =>
    names
      .split(", ")
      .map((name) => `type ${name} = any;`)
      .join("\n"),
  );
}

const bytesOf = (text: string) => new TextEncoder().encode(text);
