/** `minmaxq --version`, alone and with what the executable was made of. */
import { expect, test } from "bun:test";
import pkg from "../../package.json" with { type: "json" };
import { cleanUpAfterwards, folder, minmaxq } from "./support.ts";

cleanUpAfterwards();

test("--version is the version alone", async () => {
  for (const word of ["--version", "-V"])
    expect(await minmaxq([word], { cwd: folder() })).toMatchObject({ code: 0, out: `${pkg.version}\n`, err: "" });
});

test("with --verbose: commit, packages and runtime, wherever --verbose stands", async () => {
  const head = Bun.spawnSync(["git", "rev-parse", "HEAD"], { cwd: import.meta.dir })
    .stdout.toString()
    .trim();
  for (const words of [
    ["--version", "--verbose"],
    ["--verbose", "-V"],
  ]) {
    const { code, out } = await minmaxq(words, { cwd: folder() });
    expect(code).toBe(0);
    const lines = out.trimEnd().split("\n");
    expect(lines[0]).toBe(`minmaxq ${pkg.version}`);
    // The executable may be older than the last commit, when nothing of it was changed.
    if (head !== "") expect(lines[1]).toMatch(/^ {2}commit {5}[0-9a-f]{40}(, with changes)?$/);
    expect(out).toContain(`@litertjs/core ${pkg.dependencies["@litertjs/core"]}`);
    expect(out).toContain(`assemblyscript ${pkg.devDependencies.assemblyscript}`);
    expect(lines.at(-1)).toMatch(
      new RegExp(`^ {2}runtime {4}Bun ${Bun.version} \\([0-9a-f]{40}\\), ${process.platform} ${process.arch}$`),
    );
  }
});
