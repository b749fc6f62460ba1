/** Patterns as samples of a worker's job: every file that they match has to lie below its roots. */
import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { jobOf } from "../../src/batch/job.ts";
import { Roots } from "../../src/batch/roots.ts";
import { messageOf } from "../calibration/support.ts";
import { cleanUpAfterwards, folder } from "../cli/support.ts";

cleanUpAfterwards();

test("what a pattern matches is held to the roots", async () => {
  const top = folder();
  for (const name of ["inside", "outside", "linked"]) mkdirSync(join(top, name));
  for (const name of ["inside/a.png", "outside/b.png", "inside/m.circle", "linked/c.png"])
    writeFileSync(join(top, name), "x");
  const roots = new Roots([join(top, "inside"), join(top, "linked")]);
  const confine = (data: string) =>
    roots.confine(
      jobOf({ model: join(top, "inside/m.circle"), output: join(top, "inside/q.circle"), data: `${top}/${data}` }),
    );
  expect(confine("inside/*.png").options.data).toEqual([{ location: join(top, "inside/*.png") }]);
  const outside = "outside the folders that this worker may touch";
  expect(await messageOf(() => confine("outside/*.png"))).toContain(outside);
  expect(await messageOf(() => confine("inside/../outside/*.png"))).toContain(outside);
  expect(await messageOf(() => confine("{inside,outside}/*.png"))).toContain(outside);
  symlinkSync(join(top, "outside/b.png"), join(top, "linked/d.png"));
  expect(await messageOf(() => confine("linked/*.png"))).toContain("linked/d.png");
});
