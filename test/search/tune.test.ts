/** Tuning made models by the executable: what is found, what is written, what is kept when it is stopped, what is refused. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { write } from "../cli/models.ts";
import {
  cleanUpAfterwards,
  environment,
  executable,
  files,
  folder,
  minmaxq,
  refused,
  succeeded,
} from "../cli/support.ts";
import { samples, smallLogistic, uneven } from "./models.ts";
import { type Facts, pointOf, worst } from "./tune-facts.ts";

cleanUpAfterwards();
setDefaultTimeout(120_000);

const cwd = folder();
const plain = (values: Float32Array) => values;
beforeAll(async () => {
  await write(uneven(), join(cwd, "m.circle"));
  await write(uneven(), join(cwd, "m.tflite"));
  samples(cwd, 16, plain);
});

const DATA = ["--data", "samples.npy", "--mode", "minmax"];

async function tuned(args: string[], output: string, model = "m.circle"): Promise<Facts> {
  const all = ["tune", model, ...DATA, ...args, "-o", output, "--force", "--json", "--quiet"];
  return JSON.parse((await succeeded(all, { cwd })).out);
}

describe("a target", () => {
  test("the layer that needs it gets 16 bits, and the one that reads it; the file is what was measured", async () => {
    const facts = await tuned(["--until", "sqnr=30", "--save-config", "layers.json"], "a.circle");
    const result = pointOf(facts, "result")!;
    expect(worst(pointOf(facts, "all low")!)).toBeLessThan(30);
    expect(worst(result)).toBeGreaterThanOrEqual(30);
    expect(JSON.parse(readFileSync(join(cwd, "layers.json"), "utf8"))).toEqual({
      layers: [{ names: ["up", "down"], dtype: "int16" }],
    });
    expect(statSync(join(cwd, "a.circle")).size).toBe(facts.output.bytes);
    expect(result.bytes).toBe(facts.output.bytes);
    // Another way to the same: compare on the samples that were held back; those of the search are half of them.
    const { out } = await succeeded(
      ["compare", "m.circle", "a.circle", "--data", "samples.npy", "--split", "0.5", "--json"],
      { cwd },
    );
    const sqnr = JSON.parse(out).outputs[0].metrics.sqnr;
    const parts = [result.sqnr[0]!, result.unseen![0]!];
    expect(sqnr).toBeGreaterThan(Math.min(...parts) - 1e-6);
    expect(sqnr).toBeLessThan(Math.max(...parts) + 1e-6);
    expect(files(cwd).filter((name) => name.includes("tune") || name.endsWith(".tmp"))).toEqual([]);
  });

  test("it costs no more than ONE's bisection, which reaches it, too", async () => {
    for (const target of [20, 30, 35]) {
      const facts = await tuned(["--until", `sqnr=${target}`], "b.circle");
      const bisection = pointOf(facts, "bisection")!;
      const result = pointOf(facts, "result")!;
      expect(worst(bisection)).toBeGreaterThanOrEqual(target);
      expect(worst(result)).toBeGreaterThanOrEqual(target);
      expect(result.cost).toBeLessThanOrEqual(bisection.cost);
    }
  });

  test("the layers of --save-config give the same dtypes again", async () => {
    await tuned(["--until", "sqnr=30", "--save-config", "again.json"], "c.circle");
    const again = ["quantize", "m.circle", ...DATA, "--config", "again.json", "-o", "d.circle"];
    await succeeded(again, { cwd });
    const dtypes = async (name: string) =>
      JSON.parse((await succeeded(["inspect", name, "--json"], { cwd })).out).tensors?.map(
        (tensor: { name: string; dtype: string }) => [tensor.name, tensor.dtype],
      );
    expect(await dtypes("d.circle")).toEqual(await dtypes("c.circle"));
  });

  for (const [name, words, model, ending] of [
    ["nothing said of accuracy", [], "m.circle", "circle"],
    ["compat", ["--accuracy", "compat"], "m.circle", "circle"],
    ["best", ["--accuracy", "best"], "m.circle", "circle"],
    ["headroom", ["--range-margin", "1.5"], "m.circle", "circle"],
    ["int8, and a layer of the user's", ["--layer", "fc3=float32"], "m.tflite", "tflite"],
    ["weights alone", ["--scheme", "weights-int4"], "m.tflite", "tflite"],
    ["weights alone, best", ["--scheme", "dynamic-int4", "--accuracy", "best"], "m.tflite", "tflite"],
  ] as const)
    test(`quantize gives the bytes that tune wrote: ${name}`, async () => {
      const output = `same.${ending}`;
      const mode = name.startsWith("weights") ? ["--data", "samples.npy"] : DATA;
      const all = ["tune", model, ...mode, "--until", "sqnr=20", "--save-config", "same.json", ...words];
      const facts: Facts & { accuracy: string } = JSON.parse(
        (await succeeded([...all, "-o", output, "--force", "--json", "--quiet"], { cwd })).out,
      );
      const accuracy = words.includes("--accuracy" as never) ? [] : ["--accuracy", facts.accuracy];
      // The file has the user's own layers, too.
      const rest = words.filter((word) => word !== "--layer" && !word.includes("="));
      const alone = name === "weights alone, best" || name === "weights alone";
      const samples = alone ? ["--data", "samples.npy"] : DATA;
      const again = ["quantize", model, ...samples, "--split", "0.5", "--config", "same.json", ...rest, ...accuracy];
      await succeeded([...again, "-o", `again.${ending}`], { cwd });
      expect(readFileSync(join(cwd, `again.${ending}`))).toEqual(readFileSync(join(cwd, output)));
    });

  test("layers that the user set stay as they are", async () => {
    const facts = await tuned(["--until", "sqnr=20", "--layer", "fc2=uint8", "--output-dtype", "int16"], "u.circle");
    expect(Object.keys(facts.layers)).toContain("up");
    expect(Object.keys(facts.layers)).not.toContain("fc2");
  });

  test("three levels: int8, int16x8 and float32", async () => {
    const facts = await tuned(["--until", "sqnr=30", "--levels", "int8,int16x8,float32"], "e.tflite", "m.tflite");
    expect(worst(pointOf(facts, "result")!)).toBeGreaterThanOrEqual(30);
    expect(pointOf(facts, "result")!.share).toBeLessThan(0.5);
  });

  test("what limits an output that no layer can mend", async () => {
    await write(smallLogistic(), join(cwd, "p.circle"));
    const args = ["tune", "p.circle", ...DATA, "--until", "sqnr=30", "-o", "p.out.circle"];
    await refused(
      args,
      { cwd },
      1,
      "no output reaches",
      "its LOGISTIC output has steps of 1/256: use --output-dtype int16",
    );
    const facts = await tuned(["--until", "sqnr=15", "--output-dtype", "int16"], "p.out.circle", "p.circle");
    expect(facts.unreachable).toEqual([]);
  });
});

describe("a budget", () => {
  test("a share is kept, and is better than what a cut by depth has for it", async () => {
    const facts = await tuned(["--at-most", "40%"], "f.circle");
    const result = pointOf(facts, "result")!;
    expect(result.share).toBeLessThanOrEqual(0.4 + 1e-9);
    for (const what of ["front split", "back split", "all low"]) {
      expect(pointOf(facts, what)!.share).toBeLessThanOrEqual(0.4 + 1e-9);
      expect(worst(result)).toBeGreaterThanOrEqual(worst(pointOf(facts, what)!));
    }
  });

  test("a size is kept", async () => {
    const all = await tuned(["--at-most", "100%"], "g.circle");
    const [low, high] = ["all low", "all high"].map((what) => pointOf(all, what)!.bytes);
    const size = Math.round((low! + high!) / 2);
    const facts = await tuned(["--target-size", `${size / 1000}KB`], "h.circle");
    expect(statSync(join(cwd, "h.circle")).size).toBeLessThanOrEqual(size);
    expect(worst(pointOf(facts, "result")!)).toBeGreaterThanOrEqual(worst(pointOf(facts, "all low")!));
  });

  for (const cost of ["bytes", "bitops"])
    test(`spares ${cost}`, async () => {
      const facts = await tuned(["--until", "sqnr=30", "--cost", cost], "i.circle");
      expect(worst(pointOf(facts, "result")!)).toBeGreaterThanOrEqual(30);
      expect(pointOf(facts, "result")!.cost).toBeLessThanOrEqual(pointOf(facts, "all high")!.cost);
    });
});

describe("a program's score", () => {
  /** The negative mean absolute difference of all files, by hand: headers are as long as their bytes 8 and 9 say. */
  const PROGRAM = `#!/usr/bin/env python3
import os, struct, sys
a, b = sys.argv[1:]
total = count = 0
for name in sorted(os.listdir(a)):
    values = []
    for folder in (a, b):
        data = open(os.path.join(folder, name), "rb").read()
        start = 10 + data[8] + 256 * data[9]
        assert data[:6] == b"\\x93NUMPY" and start % 64 == 0 and b"(1, 16)" in data[:start]
        values.append(struct.unpack("<%df" % ((len(data) - start) // 4), data[start:]))
    for x, y in zip(*values):
        total += abs(x - y); count += 1
print("score", -total / count)
`;
  test("reaches it", async () => {
    writeFileSync(join(cwd, "score.py"), PROGRAM);
    chmodSync(join(cwd, "score.py"), 0o755);
    const facts = await tuned(["--until", "metric=-0.02", "--metric", "./score.py"], "j.circle");
    expect(pointOf(facts, "all low")!.score).toBeLessThan(-0.02);
    expect(pointOf(facts, "result")!.score).toBeGreaterThanOrEqual(-0.02);
    expect(files(cwd).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
  test("a program that fails", async () => {
    const args = [
      "tune",
      "m.circle",
      ...DATA,
      "--until",
      "metric=1",
      "--metric",
      "false",
      "-o",
      "k.circle",
      "--state",
      "k.json",
    ];
    const { code, err } = await minmaxq(args, { cwd });
    expect(code).toBe(1);
    expect(err).toContain("--metric false: ended with code 1");
    expect(existsSync(join(cwd, "k.circle"))).toBe(false);
  });
});

describe("results are the same", () => {
  const args = ["tune", "m.circle", ...DATA, "--until", "sqnr=30", "--force"];
  const bytes = (name: string) => readFileSync(join(cwd, name));

  test("on one worker and on three", async () => {
    await succeeded([...args, "--num-threads", "1", "-o", "one.circle"], { cwd });
    await succeeded([...args, "--num-threads", "3", "-o", "three.circle"], { cwd });
    expect(bytes("one.circle")).toEqual(bytes("three.circle"));
  });

  test("when it was stopped and goes on", async () => {
    await succeeded([...args, "-o", "whole.circle"], { cwd });
    const state = join(cwd, "s.json");
    const before = files(cwd);
    const child = Bun.spawn([executable(), ...args, "-o", "part.circle", "--state", "s.json"], {
      cwd,
      env: environment(),
      stdout: "pipe",
      stderr: "pipe",
    });
    while (child.exitCode === null && !existsSync(state)) await Bun.sleep(1);
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(await new Response(child.stderr).text()).toContain("the same command goes on from there");
    expect(files(cwd)).toEqual([...before, "s.json"].sort());
    const { err } = await minmaxq([...args, "-o", "part.circle", "--state", "s.json"], { cwd });
    expect(err).toContain("s.json: goes on with");
    expect(bytes("part.circle")).toEqual(bytes("whole.circle"));
  });

  describe("a state of another search is not used", () => {
    const goesOn = async (words: string[], change?: (state: { key: string }) => void) => {
      const state = JSON.parse(readFileSync(join(cwd, "s.json"), "utf8"));
      change?.(state);
      writeFileSync(join(cwd, "t.json"), JSON.stringify(state));
      const { code, err } = await minmaxq([...words, "-o", "other.circle", "--state", "t.json"], { cwd });
      expect(code).toBe(0);
      return err.includes("goes on with");
    };
    test("but that of the same one is", async () => {
      expect(await goesOn(args)).toBe(true);
      // Other goals use the same measurements.
      expect(await goesOn(["tune", "m.circle", ...DATA, "--at-most", "50%", "--force"])).toBe(true);
    });
    test("other settings", async () => {
      expect(await goesOn([...args, "--output-dtype", "int16"])).toBe(false);
      expect(await goesOn([...args, "--accuracy", "compat"])).toBe(false);
      expect(await goesOn([...args, "--split", "0.4"])).toBe(false);
    });
    test("another model of the same name", async () => {
      const model = readFileSync(join(cwd, "m.circle"));
      await write(smallLogistic(), join(cwd, "m.circle"));
      const low = ["tune", "m.circle", ...DATA, "--at-most", "50%", "--force"];
      expect(await goesOn(low)).toBe(false);
      writeFileSync(join(cwd, "m.circle"), model);
    });
    test("another version, whose key is another one", async () => {
      expect(await goesOn(args, (state) => Object.assign(state, { key: state.key.replace(/^./, "-") }))).toBe(false);
    });
  });
});

describe("refusals", () => {
  const base = ["tune", "m.circle", "--data", "samples.npy", "-o", "x.circle"];
  const cases: [string, string[], number, string][] = [
    ["no goal", [], 2, "give one of --until"],
    ["two goals", ["--until", "sqnr=20", "--at-most", "10%"], 2, "give one of --until"],
    ["a target that is none", ["--until", "20"], 2, "Write sqnr=20"],
    ["a score without a program", ["--until", "metric=1"], 2, "needs --metric"],
    ["a program without use", ["--until", "sqnr=20", "--metric", "true"], 2, "does nothing"],
    ["a share above all", ["--at-most", "120%"], 2, "such as 20%"],
    ["one level", ["--until", "sqnr=20", "--levels", "uint8"], 2, "two or more"],
    [
      "levels of weights and activations",
      ["--until", "sqnr=20", "--levels", "uint8,weights-int8"],
      2,
      "cannot stand beside",
    ],
    ["levels of two families", ["--until", "sqnr=20", "--levels", "uint8,int16x8"], 2, "cannot stand beside"],
    ["float32 first", ["--until", "sqnr=20", "--levels", "float32,uint8"], 2, "put it last"],
    ["a time that is none", ["--until", "sqnr=20", "--time-limit", "soon"], 2, "such as 90s"],
    ["a size that nothing fits", ["--target-size", "1KB"], 1, "nothing was found that will do"],
  ];
  for (const [name, args, code, says] of cases)
    test(name, async () => {
      const { code: got, err, out } = await minmaxq([...base, ...args], { cwd });
      expect({ got, out }).toEqual({ got: code, out: "" });
      expect(err).toContain(says);
      expect(existsSync(join(cwd, "x.circle"))).toBe(false);
    });

  test("a state file that is none of ours is left alone", async () => {
    writeFileSync(join(cwd, "mine.json"), "{}");
    await refused([...base, "--until", "sqnr=20", "--state", "mine.json"], { cwd }, 1, "is no state of a search");
    expect(readFileSync(join(cwd, "mine.json"), "utf8")).toBe("{}");
  });

  test("too few samples to check the result", async () => {
    const small = folder();
    await write(uneven(), join(small, "m.circle"));
    samples(small, 3, plain);
    await refused([...base, "--until", "sqnr=20"], { cwd: small }, 2, "give 4 or more");
  });

  test("a time that is over", async () => {
    const { code, err } = await minmaxq([...base, "--until", "sqnr=30", "--time-limit", "0.01"], { cwd });
    expect(code).toBe(1);
    expect(err).toContain("--time-limit");
  });
});
