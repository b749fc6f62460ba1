/** Facts without which figures mean nothing. Nothing of it names the machine or its owner. */
import { readFileSync } from "node:fs";
import { arch, cpus, loadavg, release, totalmem, type } from "node:os";
import { resolve } from "node:path";
import type { Machine } from "./results.ts";

export function machineFacts(folder: string): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memory: Math.round(totalmem() / 1e9),
    system: `${type()} ${release()} ${arch()}`,
    fileSystem: fileSystemOf(folder),
    bun: Bun.version,
  };
}

/** Linux tells it; elsewhere it is unknown. */
function fileSystemOf(folder: string): string {
  const path = `${resolve(folder)}/`;
  try {
    const mounts = readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .map((line) => line.split(" "))
      .filter(([, at]) => at && path.startsWith(at.endsWith("/") ? at : `${at}/`));
    // The deepest mount point, and of those at the same place the last.
    const deepest = mounts.reduce((best, mount) => (mount[1]!.length >= best[1]!.length ? mount : best), ["", ""]);
    return deepest[2] ?? "unknown";
  } catch {
    return "unknown";
  }
}

export function load(): number {
  return Math.round(loadavg()[0]! * 100) / 100;
}

/** The commit of the sources, with a "+" when they differ from it. */
export function commitOf(): string {
  const git = (...words: string[]) => {
    const { exitCode, stdout } = Bun.spawnSync(["git", ...words], { stderr: "ignore" });
    return exitCode === 0 ? stdout.toString().trim() : null;
  };
  try {
    const commit = git("rev-parse", "--short", "HEAD");
    const changes = git("status", "--porcelain", "--", "src", "kernels", "build.ts", "package.json", "bun.lock");
    return commit === null ? "unknown" : changes ? `${commit}+` : commit;
  } catch {
    return "unknown";
  }
}
