/**
 * A worker's roots cannot be left: not by `..`, by links of any kind, by lists and patterns of samples, or by what HDF5 data refer to. (With a real queue and
 * worker: test/batch/queue.test.ts.)
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { jobOf } from "../../src/batch/job.ts";
import { Roots } from "../../src/batch/roots.ts";
import { convolution, write } from "../cli/models.ts";
import { cleanUpAfterwards, folder } from "../cli/support.ts";

cleanUpAfterwards();

const top = folder();
const at = (...names: string[]) => join(top, ...names);
const inside = { model: at("root/m.tflite"), output: at("root/q.tflite") };

beforeAll(async () => {
  for (const name of ["root/sub", "root/data", "outside/data", "root2"]) mkdirSync(at(name), { recursive: true });
  await write(convolution(), at("root/m.tflite"));
  await write(convolution(), at("outside/m.tflite"));
  for (const name of ["root/data/0.raw", "outside/data/0.raw"]) writeFileSync(at(name), new Uint8Array(128));
  symlinkSync(at("outside"), at("root/way"));
  symlinkSync(at("root/way"), at("root/sub/two"));
  symlinkSync(at("outside/m.tflite"), at("root/linked.tflite"));
  symlinkSync(at("outside/new.tflite"), at("root/dangling.tflite"));
  symlinkSync(at("root/loop.tflite"), at("root/loop.tflite"));
  mkdirSync(at("root/mixed"));
  symlinkSync(at("outside/data/0.raw"), at("root/mixed/0.raw"));
  writeFileSync(at("root/list.txt"), `${at("outside/data/0.raw")}\n`);
  writeFileSync(at("root/up.txt"), "../outside/data/0.raw\n");
  writeFileSync(at("root/layers.json"), '{"layers": []}');
  symlinkSync(at("outside/layers.json"), at("root/linked.json"));
  writeFileSync(at("outside/layers.json"), '{"layers": []}');
});

const confined = (more: object) => new Roots([at("root")]).confine(jobOf({ ...inside, ...more }));

describe("paths that lead out are refused", () => {
  const cases: readonly [string, object][] = [
    ["another place", { model: at("outside/m.tflite") }],
    ["..", { model: `${at("root")}/../outside/m.tflite` }],
    [".. behind a link", { model: `${at("root")}/way/../../outside/m.tflite` }],
    ["a name that begins like the root's", { output: at("root2/q.tflite") }],
    ["a relative path", { model: "root/m.tflite" }],
    ["a link to a file", { model: at("root/linked.tflite") }],
    ["a link to a folder", { model: at("root/way/m.tflite") }],
    ["a link to a link", { model: at("root/sub/two/m.tflite") }],
    ["an output behind a link", { output: at("root/way/q.tflite") }],
    ["an output behind a link, in a folder to be made", { output: at("root/way/deep/er/q.tflite") }],
    ["an output that is a link to nowhere yet", { output: at("root/dangling.tflite") }],
    ["an output that is a link to itself", { output: at("root/loop.tflite") }],
    ["an output with ..", { output: `${at("root")}/sub/../../outside/q.tflite` }],
    ["a report", { explain: at("outside/why.json") }],
    ["a report behind a link", { explain: at("root/way/why.json") }],
    ["layer settings", { config: at("outside/layers.json") }],
    ["layer settings behind a link", { config: at("root/linked.json") }],
    ["samples", { data: at("outside/data") }],
    ["samples behind a link", { data: at("root/way/data") }],
    ["a folder with a link in it", { data: at("root/mixed") }],
    ["a pattern with a link in it", { data: at("root/mixed/*.raw") }],
    ["a pattern that goes up", { data: at("root/../outside/data/*.raw") }],
    ["a list of absolute names", { data: at("root/list.txt") }],
    ["a list of names with ..", { data: at("root/up.txt") }],
    ["samples of one signature of two", { data: [`a=${at("root/data")}`, `b=${at("outside/data")}`] }],
    ["another format does not help", { data: at("outside/data"), "data-format": "dir" }],
  ];
  for (const [name, more] of cases)
    test(name, () => expect(() => confined(more)).toThrow("outside the folders that this worker may touch"));

  test("what lies inside is let through, by its real path", () => {
    const job = confined({ data: at("root/data"), config: at("root/layers.json"), explain: at("root/sub/why.json") });
    expect(job.entry.config).toBe(at("root/layers.json"));
    expect(confined({ model: `${at("root")}/sub/../m.tflite` }).model).toBe(at("root/m.tflite"));
  });
});

test("a process of a job opens no file outside for HDF5, whatever the data link to", async () => {
  const h5 = await import("h5wasm/node");
  await h5.ready;
  const make = (path: string) => {
    const made = new h5.File(path, "w");
    const record = made.create_group("value").create_group("0");
    record.create_dataset({ name: "0", data: new Float32Array(32).fill(7), shape: [1, 4, 4, 2], dtype: "<f" });
    made.close();
  };
  const link = (path: string, to: string) => {
    const made = new h5.File(path, "w");
    made.create_external_link(to, "/value", "value");
    made.close();
  };
  make(at("outside/secret.h5"));
  make(at("root/data.h5"));
  link(at("root/inward.h5"), at("root/data.h5"));
  link(at("root/outward.h5"), at("outside/secret.h5"));
  link(at("root/upward.h5"), "../outside/secret.h5");
  // By two steps: a link inside to a file inside that links on.
  link(at("root/twice.h5"), at("root/outward.h5"));
  symlinkSync(at("outside/secret.h5"), at("root/named.h5"));
  link(at("root/linkward.h5"), at("root/named.h5"));
  const script = at("read.ts");
  const src = join(import.meta.dir, "../../src");
  writeFileSync(
    script,
    `import { guardFiles } from "${src}/batch/roots.ts";
import { openHdf5 } from "${src}/calibration/hdf5.ts";
guardFiles(["${at("root")}"]);
const data = await openHdf5(process.argv[2], [{ name: "x", dtype: "FLOAT32", shape: [1, 4, 4, 2] }]);
for await (const [bytes] of data.records()) console.log(new Float32Array(bytes.slice().buffer)[0]);`,
  );
  const read = async (name: string) => {
    const child = Bun.spawn([process.execPath, "run", script, at("root", name)], {
      stdout: "pipe",
      stderr: "pipe",
      cwd: at("root"),
    });
    const out = await new Response(child.stdout).text();
    return [name, await child.exited, out.trim()];
  };
  expect(await read("data.h5")).toEqual(["data.h5", 0, "7"]);
  expect(await read("inward.h5")).toEqual(["inward.h5", 0, "7"]);
  for (const name of ["outward.h5", "upward.h5", "twice.h5", "linkward.h5"])
    expect(await read(name)).toEqual([name, 1, ""]);
}, 60_000);
