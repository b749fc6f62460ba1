/** The tests of the command line run what the sources say now. */
import { expect, test } from "bun:test";
import { mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { alone, isStale } from "../../scripts/fresh.ts";
import { cleanUpAfterwards, folder } from "./support.ts";

cleanUpAfterwards();

test("an executable is stale when it is missing, or a source was changed, added or removed after it", () => {
  const root = folder();
  const [executable, source, deep] = ["out", "src", "src/deep"].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(deep, "a.ts"), "");
  writeFileSync(join(deep, "made.gen.ts"), "");
  const at = (path: string, seconds: number) => utimesSync(path, seconds, seconds);
  const all = (seconds: number) => {
    for (const path of [source, deep, join(deep, "a.ts"), join(deep, "made.gen.ts")]) at(path, seconds);
  };
  all(100);
  expect(isStale(executable, [source])).toBe(true);
  writeFileSync(executable, "");
  at(executable, 200);
  expect(isStale(executable, [source])).toBe(false);
  at(join(deep, "made.gen.ts"), 300);
  expect(isStale(executable, [source])).toBe(false);
  at(join(deep, "a.ts"), 300);
  expect(isStale(executable, [source])).toBe(true);
  all(100);
  rmSync(join(deep, "a.ts"));
  expect(isStale(executable, [source])).toBe(true);
});

test("processes take turns, and the lock of one that was killed stops none", async () => {
  const root = folder();
  const [lock, log] = [join(root, "lock"), join(root, "log")];
  const helper = join(import.meta.dir, "../../scripts/fresh.ts");
  const script = (then: string) => `
    import { appendFileSync } from "node:fs";
    import { alone } from ${JSON.stringify(helper)};
    alone(${JSON.stringify(lock)}, () => {
      appendFileSync(${JSON.stringify(log)}, "in ");
      ${then}
      appendFileSync(${JSON.stringify(log)}, "out ");
    });`;
  const started = (then: string) => Bun.spawn([process.execPath, "-e", script(then)]).exited;
  expect(await started('process.kill(process.pid, "SIGKILL");')).not.toBe(0);
  expect(await Promise.all([1, 2, 3].map(() => started("Bun.sleepSync(100);")))).toEqual([0, 0, 0]);
  expect(await Bun.file(log).text()).toBe(`in ${"in out ".repeat(3)}`);
  expect(alone(lock, () => 7)).toBe(7);
});
