/** What goes into an executable beside its code: the commit and the versions that it is made of. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import pkg from "../../package.json" with { type: "json" };
import type { Provenance } from "../../src/cli/provenance.ts";

const ROOT = join(import.meta.dir, "../..");

/** Packages whose versions say what an executable computes with. */
const TOLD: Readonly<Record<string, string>> = {
  "@litertjs/core": "LiteRT",
  h5wasm: "HDF5",
  assemblyscript: "kernels",
};

/** The commit's date where there is one: what all files of a release are dated by (seconds since 1970). */
export function releaseTime(): number {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given !== undefined && /^\d+$/.test(given)) return Number(given);
  return Number(git("show", "-s", "--format=%ct", "HEAD") || 0);
}

/** Nothing of this machine is in it: the same commit gives the same text everywhere. */
export function provenanceOf(target: string): Provenance {
  const time = releaseTime();
  return {
    commit: git("rev-parse", "HEAD") || "unknown",
    date: time === 0 ? "unknown" : new Date(time * 1000).toISOString(),
    changed: git("status", "--porcelain", "--untracked-files=no") !== "",
    target,
    packages: Object.fromEntries(Object.entries(TOLD).map(([name, called]) => [called, `${name} ${versionOf(name)}`])),
  };
}

/** Versions are pinned, so package.json has them. */
function versionOf(name: string): string {
  const all: Readonly<Record<string, string>> = { ...pkg.dependencies, ...pkg.devDependencies };
  return all[name]!;
}

/** What git says; nothing outside of a clone of this project. */
function git(...words: string[]): string {
  if (!existsSync(join(ROOT, ".git"))) return "";
  try {
    const { exitCode, stdout } = Bun.spawnSync(["git", "--no-optional-locks", "-C", ROOT, ...words], {
      stderr: "ignore",
    });
    return exitCode === 0 ? stdout.toString().trim() : "";
  } catch {
    // No git on this machine.
    return "";
  }
}
