/**
 * Holds kernels/ to biome.json, with what AssemblyScript needs to be different (`overrides` there). Types are checked by its own
 * compiler, in the build.
 *
 *     bun run scripts/lint-kernels.ts            exit code 1 where something is wrong
 *     bun run scripts/lint-kernels.ts --write    mends what can be mended
 *
 * Biome reads TypeScript, where a function has no decorators: what is checked is a copy in which `@inline` is a comment.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const DECORATOR = /^@inline$/gm;
const COMMENT = /^\/\/ @inline$/gm;

/** Checks the kernels in `folder` and gives Biome's exit code; `write` mends them in place. */
export function lintKernels(folder: string, write: boolean, stdio: "inherit" | "ignore" = "inherit"): number {
  const copy = mkdtempSync(join(tmpdir(), "minmaxq-kernels-"));
  try {
    const top = resolve(import.meta.dir, "..");
    const config = JSON.parse(readFileSync(join(top, "biome.json"), "utf8"));
    writeFileSync(join(copy, "biome.json"), JSON.stringify({ ...config, files: { includes: ["kernels/**"] } }));
    mkdirSync(join(copy, "kernels"));
    const names = readdirSync(folder).filter((name) => name.endsWith(".ts"));
    for (const name of names) {
      const source = readFileSync(join(folder, name), "utf8");
      writeFileSync(join(copy, "kernels", name), source.replace(DECORATOR, "// @inline"));
    }
    const biome = resolve(top, "node_modules/@biomejs/biome/bin/biome");
    const words = ["check", "--error-on-warnings", ...(write ? ["--write"] : []), "kernels"];
    const { exitCode } = Bun.spawnSync([process.execPath, biome, ...words], {
      ...{ cwd: copy, stdout: stdio, stderr: stdio },
      env: { ...process.env, BUN_BE_BUN: "1" },
    });
    for (const name of write ? names : []) {
      const mended = readFileSync(join(copy, "kernels", name), "utf8").replace(COMMENT, "@inline");
      if (mended !== readFileSync(join(folder, name), "utf8")) writeFileSync(join(folder, name), mended);
    }
    return exitCode;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

if (import.meta.main)
  process.exit(lintKernels(resolve(import.meta.dir, "../kernels"), process.argv.includes("--write")));
