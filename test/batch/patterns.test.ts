/** Entries that stand for many models, and settings by pattern. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { type JobList, readJobs } from "../../src/batch/job-list.ts";
import type { Given } from "../../src/options/values.ts";
import { cleanUpAfterwards, folder } from "../cli/support.ts";
import { list } from "./support.ts";

cleanUpAfterwards();

const NONE: Given = new Map();
const MODELS = [
  "m/hand.tflite",
  "m/face.tflite",
  "m/deep/hand2.circle",
  "m/note.txt",
  "m/.hidden.tflite",
  "other/x.tflite",
];

function place(): string {
  const cwd = folder();
  for (const name of MODELS) {
    mkdirSync(join(cwd, name, ".."), { recursive: true });
    writeFileSync(join(cwd, name), "");
  }
  return cwd;
}

interface Options {
  out?: string;
  given?: Given;
  /** Content of a file for --overrides. */
  overrides?: unknown;
  cwd?: string;
}

function read(content: unknown, { out = "q", given = NONE, overrides, cwd = place() }: Options = {}): JobList {
  const further = overrides === undefined ? undefined : join(cwd, list(cwd, overrides, "overrides.json"));
  return readJobs(join(cwd, list(cwd, content)), join(cwd, out), given, further);
}

/** Models of a list, as the table shows them. */
const names = (content: unknown, options?: Options) => read(content, options).jobs.map(({ shown }) => shown);

/** Options by model. */
function settings(content: unknown, options: Options = {}): Record<string, object> {
  const { jobs } = read(content, options);
  return Object.fromEntries(
    jobs.map(({ shown, entry: { model: _, output: __, ...rest } }): [string, object] => [shown, rest]),
  );
}

/** What is told, without the file's name before it and the folder. */
function problems(content: unknown, options: Options = {}): string[] {
  const cwd = options.cwd ?? place();
  try {
    read(content, { ...options, cwd });
  } catch (error) {
    const lines = (error as Error).message.replaceAll(`${cwd}/`, "").split("\n");
    return (lines.length > 1 ? lines.slice(1) : lines).map((line) => line.trim().replace(/^jobs\.json: /, ""));
  }
  return [];
}

describe("an entry", () => {
  test.each([
    ["a folder", "m/", ["m/deep/hand2.circle", "m/face.tflite", "m/hand.tflite"]],
    ["a folder without a slash", "m", ["m/deep/hand2.circle", "m/face.tflite", "m/hand.tflite"]],
    ["a glob of one folder", "m/*.tflite", ["m/face.tflite", "m/hand.tflite"]],
    ["a glob of all folders", "m/**/hand*", ["m/deep/hand2.circle", "m/hand.tflite"]],
    ["a glob for folders", "*/x.*", ["other/x.tflite"]],
    ["choices", "{m,other}/[fx]*", ["m/face.tflite", "other/x.tflite"]],
    ["one letter", "./m/hand?.tflite", []],
    ["a model", "m/face.tflite", ["m/face.tflite"]],
  ])("%s", (_, model, expected) => {
    const options = { cwd: place() };
    if (expected.length === 0)
      expect(problems({ jobs: [model] }, options)).toEqual([
        `jobs[0].model: "${model}" stands for no .circle or .tflite file; mend it`,
      ]);
    else {
      expect(names({ jobs: [model] }, options)).toEqual(expected);
      expect(names({ jobs: [{ model }] }, options)).toEqual(expected);
    }
  });

  test("a file whose name is a pattern is that file; linked folders are no part of a folder", () => {
    const cwd = place();
    writeFileSync(join(cwd, "m/a[1].tflite"), "");
    symlinkSync("../other", join(cwd, "m/linked"));
    expect(names({ jobs: ["m/a[1].tflite"] }, { cwd })).toEqual(["m/a[1].tflite"]);
    expect(names({ jobs: ["m"] }, { cwd })).not.toContain("m/linked/x.tflite");
  });

  test("its options are those of all its models; outputs lie as the models do", () => {
    const cwd = place();
    const { jobs, out } = read({ jobs: [{ model: "m/**/hand*", dtype: "int16" }] }, { cwd });
    expect(jobs.map(({ output }) => relative(out, output))).toEqual(["m/deep/hand2.q16.circle", "m/hand.q16.circle"]);
  });

  test("cannot name one file for many models", () => {
    expect(problems({ jobs: [{ model: "m/", output: "x.circle", explain: "why.json" }] })).toEqual([
      'jobs[0].output: is one file, and "m/" may be many models; leave it out, or name a model',
      'jobs[0].explain: is one file, and "m/" may be many models; leave it out, or name a model',
      expect.stringContaining("jobs[0] (m/face.tflite): its output"),
      expect.stringContaining("jobs[0] (m/face.tflite): its explain"),
      expect.stringContaining("jobs[0] (m/hand.tflite): its output"),
      expect.stringContaining("jobs[0] (m/hand.tflite): its explain"),
    ]);
  });

  test("must not take outputs for models the next time", () => {
    // Without --out they would lie beside the models.
    expect(problems({ jobs: ["m/*"] }, { out: "." })).toEqual([
      'jobs[0]: "m/*" would take outputs for models the next time (m/face.q8.circle); give them another folder with --out',
    ]);
    // Where the pattern begins above the folder of the outputs, what lies there is left out.
    const cwd = place();
    mkdirSync(join(cwd, "q"));
    writeFileSync(join(cwd, "q/old.q8.circle"), "");
    expect(names({ jobs: ["**/*.circle"] }, { cwd })).toEqual(["m/deep/hand2.circle"]);
    // A pattern that its outputs do not match needs no other folder.
    expect(names({ jobs: ["m/*.tflite"] }, { out: "." }).length).toBe(2);
    expect(problems({ defaults: { scheme: "int8" }, jobs: ["m/*.tflite"] }, { out: "." }).length).toBe(1);
  });
});

describe("overrides", () => {
  test("defaults < entry < overrides, the later over the earlier; null takes back", () => {
    const content = {
      defaults: { strict: true, "min-percentile": 1, data: "d.npz" },
      jobs: [{ model: "m/", "min-percentile": 2, "max-percentile": 90 }, "other/x.tflite"],
      overrides: [
        { match: "hand*", "min-percentile": 3, "save-min-max": true },
        { match: "m/deep/", "min-percentile": 4, strict: null },
        { match: ["m/face.tflite", "x.*", "other/x.tflite"], data: "random:1" },
      ],
    };
    const cwd = place();
    const data = join(cwd, "d.npz");
    expect(settings(content, { cwd })).toEqual({
      "m/face.tflite": { strict: true, "min-percentile": 2, "max-percentile": 90, data: "random:1" },
      "m/hand.tflite": { strict: true, "min-percentile": 3, "max-percentile": 90, data, "save-min-max": true },
      "m/deep/hand2.circle": { "min-percentile": 4, "max-percentile": 90, data, "save-min-max": true },
      "other/x.tflite": { strict: true, "min-percentile": 1, data: "random:1" },
    });
  });

  test.each([
    ["hand*", ["m/deep/hand2.circle", "m/hand.tflite"]],
    ["m/hand*", ["m/hand.tflite"]],
    ["m/**", ["m/deep/hand2.circle", "m/face.tflite", "m/hand.tflite"]],
    ["m/deep/", ["m/deep/hand2.circle"]],
    ["./m/face.tflite", ["m/face.tflite"]],
    ["*.circle", ["m/deep/hand2.circle"]],
  ])("%s", (match, expected) => {
    const all = settings({ jobs: ["m/"], overrides: [{ match, strict: true }] });
    const hit = Object.entries(all).flatMap(([name, { strict }]: [string, { strict?: boolean }]) =>
      strict ? [name] : [],
    );
    expect(hit).toEqual(expected);
  });

  test("everything wrong with them is told, also that one is for no model", () => {
    expect(
      problems({
        jobs: ["m/"],
        overrides: [{ strict: true }, { match: "hand*", strct: true }, { match: [] }, 7, { match: ["hnad*", "face*"] }],
      }),
    ).toEqual([
      'overrides[3]: must be an object with "match"',
      "overrides[0].match: is missing",
      'overrides[1].strct: there is no such option; did you mean "strict"?',
      "overrides[2].match: is empty",
      'overrides[4].match: "hnad*" is for none of the 3 models; mend it or leave it out',
    ]);
    expect(problems({ jobs: ["m/"], overrides: [{ match: "hand*", model: "x", output: "y" }] })).toEqual([
      expect.stringMatching(/^overrides\[0\]\.model: there is no such option/),
      expect.stringMatching(/^overrides\[0\]\.output: there is no such option/),
    ]);
  });

  test("a scheme takes back what more general settings say of another one", () => {
    const content = {
      defaults: { data: "random:2", scheme: "dynamic-int4", block: 32 },
      jobs: [{ model: "m/", data: null }],
      overrides: [{ match: "hand*", dtype: "int16", data: "random:4", mode: "minmax" }],
    };
    // Samples are none of the business of weights alone, whoever said so.
    expect(settings({ ...content, defaults: { ...content.defaults, data: undefined } })["m/face.tflite"]).toEqual({
      scheme: "dynamic-int4",
      block: 32,
    });
    expect(settings({ ...content, overrides: [{ ...content.overrides[0], block: null }] })["m/hand.tflite"]).toEqual({
      dtype: "int16",
      data: "random:4",
      mode: "minmax",
    });
    const weights = {
      defaults: { data: "random:2", mode: "minmax", scheme: "int8", "input-dtype": "float32" },
      jobs: ["m/"],
      overrides: [{ match: "face*", scheme: "weights-int8" }],
    };
    expect(settings(weights)["m/face.tflite"]).toEqual({ scheme: "weights-int8" });
    // Samples stay where the result is run on them.
    const compared = { ...weights, defaults: { ...weights.defaults, compare: true } };
    expect(settings(compared)["m/face.tflite"]).toEqual({ scheme: "weights-int8", data: "random:2", compare: true });
    // Said at the same place it is a mistake.
    expect(problems({ ...weights, overrides: [{ match: "face*", scheme: "weights-int8", mode: "mse" }] })).toEqual([
      'jobs[0] (m/face.tflite).mode: does nothing without "data"',
    ]);
    expect(problems({ jobs: [{ model: "m/face.tflite", scheme: "weights-int8", data: "random" }] })).toEqual([
      expect.stringContaining("--data: not with --scheme weights-int8"),
    ]);
  });

  test("compare: false takes limits back that more general settings have", () => {
    const content = {
      defaults: { data: "random:2", "fail-below": "sqnr=20" },
      jobs: ["m/"],
      overrides: [{ match: "face*", compare: false }],
    };
    expect(settings(content)["m/face.tflite"]).toEqual({ data: "random:2" });
    expect(settings(content)["m/hand.tflite"]).toEqual({ data: "random:2", "fail-below": "sqnr=20" });
  });
});

describe("the command line", () => {
  test("--overrides of a folder: a list, or a file that has one; paths count from that file", () => {
    const cwd = place();
    for (const content of [
      [{ match: "hand*", config: "layers.json" }],
      { overrides: [{ match: "hand*", config: "layers.json" }] },
    ]) {
      const path = join(cwd, list(cwd, content, "m/overrides.json"));
      const { jobs } = readJobs(join(cwd, "m"), join(cwd, "q"), new Map([["strict", [true]]]), path);
      expect(jobs.map(({ shown, entry }) => [shown, entry.config, entry.strict])).toEqual([
        ["deep/hand2.circle", join(cwd, "m/layers.json"), true],
        ["face.tflite", undefined, true],
        ["hand.tflite", join(cwd, "m/layers.json"), true],
      ]);
    }
    const wrong = join(cwd, list(cwd, [{ match: "nosuch*" }, { mtch: 1 }], "wrong.json"));
    expect(() => readJobs(join(cwd, "m"), join(cwd, "q"), NONE, wrong)).toThrow(
      /wrong\.json: \[1\]\.match: is missing[\s\S]*wrong\.json: \[0\]\.match: "nosuch\*" is for none of the 3 models/,
    );
    const other = join(cwd, list(cwd, { overides: [], defaults: {} }, "other.json"));
    expect(() => readJobs(join(cwd, "m"), join(cwd, "q"), NONE, other)).toThrow(
      /other\.json: overides: is unknown; [\s\S]*other\.json: defaults: is unknown; [\s\S]*other\.json: must be a list of overrides/,
    );
    expect(() => readJobs(join(cwd, "m"), join(cwd, "q"), NONE, join(cwd, "nosuch"))).toThrow("there is no such file");
  });

  test("--overrides stand behind a list's own", () => {
    const content = { jobs: ["m/"], overrides: [{ match: "hand*", "mask-value": -1, strict: true }] };
    const overrides = [{ match: "hand.*", "mask-value": -2 }];
    expect(settings(content, { overrides })).toMatchObject({
      "m/hand.tflite": { "mask-value": -2, strict: true },
      "m/deep/hand2.circle": { "mask-value": -1, strict: true },
    });
  });

  test("--compare and limits are for a list, too, and the most general of all", () => {
    const given: Given = new Map([
      ["compare", [true]],
      ["failBelow", ["sqnr=20", "cosine=0.9"]],
    ]);
    const cwd = place();
    const path = join(cwd, list(cwd, [{ match: "face*", data: "random:2", compare: 1 }], "overrides.json"));
    const folderJobs = readJobs(join(cwd, "m"), join(cwd, "q"), given, path).jobs;
    expect(folderJobs.map(({ shown, entry: { compare } }) => [shown, compare])).toEqual([
      ["deep/hand2.circle", undefined],
      ["face.tflite", 1],
      ["hand.tflite", undefined],
    ]);
    const content = {
      jobs: [
        { model: "m/face.tflite", data: "random:2" },
        { model: "m/hand.tflite", data: "random:2", compare: 1 },
      ],
    };
    const limits = { data: "random:2", "fail-below": ["sqnr=20", "cosine=0.9"] };
    expect(settings(content, { given })).toEqual({
      "m/face.tflite": { ...limits, compare: true },
      "m/hand.tflite": { ...limits, compare: 1 },
    });
    // A job without samples has nothing to be compared on.
    const one = { jobs: ["m/face.tflite", { model: "m/hand.tflite", data: "random" }] };
    expect(settings(one, { given })["m/face.tflite"]).toEqual({});
    expect(problems({ jobs: ["m/face.tflite"] }, { given })).toEqual([
      "--compare: no job has samples to be compared on; give them data",
      "--fail-below: no job has samples to be compared on; give them data",
    ]);
    expect(
      problems({ jobs: [{ model: "m/face.tflite", compare: 0.5, "fail-below": "sqnr", data: "random" }] }),
    ).toEqual([
      "jobs[0].compare: is 0.5; it must be a whole number from 1, or stand last, without a value",
      expect.stringMatching(/^jobs\[0\]\.fail-below: is "sqnr"; "sqnr" is no METRIC=NUMBER/),
    ]);
  });
});
