/** A job that is stopped just when another kind's process ends to make room for it. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { jobOf } from "../../src/batch/job.ts";
import { Processes } from "../../src/batch/process.ts";
import { cleanUpAfterwards, REAL } from "../cli/support.ts";
import { models } from "./support.ts";

cleanUpAfterwards();

test("stopped while room is made for its process: the job does not run on", async () => {
  const cwd = await models();
  const at = (name: string) => join(cwd, name);
  const processes = new Processes(1);
  try {
    const short = jobOf({ model: at("models/a.circle"), output: at("a.circle") });
    expect(await processes.run(short, () => {}, new AbortController().signal)).toMatchObject({ kind: "done" });
    // Samples want another environment, so the process that waits is ended first.
    const long = jobOf({ model: REAL, output: at("long.circle"), data: "random:100000" });
    const stopper = new AbortController();
    const end = processes.run(long, () => {}, stopper.signal);
    stopper.abort();
    expect(await end).toEqual({ kind: "stopped" });
  } finally {
    await processes.close();
  }
});
