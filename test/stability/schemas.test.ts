/**
 * What every command prints with `--json`, and every file that it writes as JSON, is what its schema says: no member is missing, of another type,
 * or unknown to the schema. The schemas are the files in schema/, read as any program would read them.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import { z } from "zod";
import { schemaFiles } from "../../scripts/generate-config-schema.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { npy } from "../calibration/support.ts";
import { convolution, FLOATS, RECORDED, withoutRules, write } from "../cli/models.ts";
import { cleanUpAfterwards, folder, minmaxq, REAL } from "../cli/support.ts";

cleanUpAfterwards();

const top = join(import.meta.dir, "../..");
const cwd = folder();
const at = (name: string) => join(cwd, name);

test("the schemas in schema/ are those of the code", () => {
  for (const [path, text] of schemaFiles()) expect([path, readFileSync(join(top, path), "utf8")]).toEqual([path, text]);
});

type Json = { [name: string]: unknown } | unknown[] | string | number | boolean | null;

/** The same schema that takes no member that it does not name. */
function closed(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map((each) => closed(each as Json));
  if (schema === null || typeof schema !== "object") return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value as Json)]));
  const isOpen = "properties" in schema && !("additionalProperties" in schema) && typeof schema.type === "string";
  return isOpen ? { ...inner, additionalProperties: false } : inner;
}

const validators = new Map<string, z.ZodType>();

/** What is wrong with a document: paths and texts. */
function problems(name: string, document: unknown): string[] {
  const path = `schema/output/${name}.schema.json`;
  let validator = validators.get(name);
  if (!validator) {
    validator = z.fromJSONSchema(closed(JSON.parse(readFileSync(join(top, path), "utf8"))) as never);
    validators.set(name, validator);
  }
  const { error } = validator.safeParse(document);
  return error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? [];
}

test("a document with a member too many, one too few or one of another type is refused", () => {
  const right = { schema: "minmaxq/diff/1", reportVersion: 1, first: "a", second: "b", equal: true };
  const document = { ...right, structure: [], parameters: [], values: [] };
  const { equal: _, ...less } = document;
  expect(problems("diff", document)).toEqual([]);
  expect(problems("diff", { ...document, more: 1 })).toHaveLength(1);
  expect(problems("diff", less)).toHaveLength(1);
  expect(problems("diff", { ...document, first: 1 })).toHaveLength(1);
  expect(
    problems("diff", { ...document, values: [{ change: "changed", what: "tensor", name: "x", least: 0 }] }),
  ).toHaveLength(1);
});

/** Command lines whose stdout is a document: its kind, and the exit codes that they may have. */
const ROWS: readonly (readonly [kind: string, words: string, ...codes: number[]])[] = [
  ["report", "quantize conv.tflite --data samples.npz -o a.tflite --explain why.json"],
  ["report", "quantize face.tflite --data random:2 -o face.circle --layer conv2d*=int16 --layer reshape*=float32"],
  ["report", "quantize face.tflite --scheme dynamic-int8 -o b.tflite"],
  ["report", "quantize recorded.circle -o c.circle --save-min-max"],
  ["report", "quantize stranger.circle -o s.circle --custom-operators MyOwnOperator --target onert", 0, 1],
  ["report", "record conv.tflite --data samples.npz -o d.circle"],
  ["report", "convert conv.tflite -o e.circle"],
  ["report", "dequantize a.tflite -o f.tflite"],
  ["report", "fake-quantize c.circle -o g.circle"],
  ["report", "fake-quantize-weights conv.tflite -o h.circle"],
  ["report", "quantize-weights conv.tflite -o i.circle"],
  ["report", "requantize a.tflite -o j.tflite"],
  ["report", "set-parameters recorded.circle --set conv=0.05,128 -o k.circle"],
  ["verify", "verify a.tflite"],
  ["check", "check conv.tflite --target onert", 0, 1],
  ["check", "check a.tflite --target tflm", 0, 1],
  ["check", "check face.circle --target tflm", 1],
  ["inspect", "inspect face.circle"],
  ["inspect", "inspect a.tflite"],
  ["tensor", "inspect a.tflite --tensor conv"],
  ["tensor", "inspect a.tflite --tensor w"],
  ["diff", "diff conv.tflite a.tflite", 1],
  ["diff", "diff a.tflite a.tflite"],
  ["explain", "explain a.tflite conv --from why.json"],
  ["explain", "explain a.tflite y"],
  ["compare", "compare conv.tflite a.tflite --data samples.npz --layers --visq visq.json"],
  ["compare", "compare conv.tflite a.tflite --data samples.npz --fail-below sqnr=200", 1],
  ["compare", "compare conv.tflite a.tflite --data samples.npz --why"],
  ["diagnose", "diagnose conv.tflite --data samples.npz"],
  ["tune", "tune conv.tflite --data random:8 --at-most 50% -o tuned.tflite"],
  ["samples", "data show conv.tflite --data samples.npz"],
  ["samples", "data show face.tflite --data random:2"],
  ["doctor", "doctor", 0, 1],
  ["plan", "batch jobs.json --dry-run", 1],
  ["batch", "batch jobs.json --compare", 1],
  ["batch", "batch jobs.json --compare", 1],
  ["plan", "batch jobs.json --dry-run", 1],
  ["batch", "batch good.json --failed"],
];

interface Ran {
  readonly kind: string;
  readonly words: string;
  readonly codes: readonly number[];
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
const ran: Ran[] = [];

beforeAll(async () => {
  copyFileSync(REAL, at("face.tflite"));
  await write(convolution(), at("conv.tflite"));
  await write(convolution(RECORDED), at("recorded.circle"));
  await write(withoutRules(), at("stranger.circle"));
  const values = FLOATS(3 * 32);
  writeFileSync(at("samples.npz"), zipSync({ "x.npy": npy("<f4", [3, 4, 4, 2], new Uint8Array(values.buffer)) }));
  mkdirSync(at("q"));
  writeFileSync(at("bad.tflite"), "no model");
  const job = (model: string, output: string) => ({ model, output, data: "samples.npz" });
  const jobs = [job("conv.tflite", "q/conv.tflite"), job("bad.tflite", "q/bad.tflite")];
  writeFileSync(at("jobs.json"), JSON.stringify({ jobs }));
  writeFileSync(at("good.json"), JSON.stringify({ jobs: jobs.slice(0, 1) }));
  for (const [kind, words, ...codes] of ROWS) {
    const { code, out, err } = await minmaxq([...words.split(" "), "--json"], { cwd });
    ran.push({ kind, words, codes: codes.length > 0 ? codes : [0], code, out, err });
  }
}, 120_000);

for (const [i, [kind, words]] of ROWS.entries())
  test(`${i} ${words}: ${kind}`, () => {
    const { code, codes, out, err } = ran[i]!;
    expect({ codes, err, isAllowed: codes.includes(code) }).toEqual({ codes, err, isAllowed: true });
    // A refusal says nothing on stdout.
    if (out === "" && code !== 0) return;
    const document = JSON.parse(out);
    expect(Object.keys(document)[0]).toBe("schema");
    expect(document.schema).toStartWith(`minmaxq/${kind}/`);
    expect(problems(kind, document)).toEqual([]);
  });

describe("files", () => {
  test("--explain", () =>
    expect(problems("explanation", JSON.parse(readFileSync(at("why.json"), "utf8")))).toEqual([]));
  test("--visq", () => expect(problems("visq", JSON.parse(readFileSync(at("visq.json"), "utf8")))).toEqual([]));
  test("results.jsonl", () => {
    const lines = readFileSync(at("results.jsonl"), "utf8").trim().split("\n");
    expect(lines.length).toBe(4);
    for (const line of lines) expect(problems("result", JSON.parse(line))).toEqual([]);
  });
});

test("every command that has --json is run here, and every kind of document is seen", async () => {
  const tried = new Set(ROWS.map(([, words]) => words.split(" ")[0]!));
  const missing: string[] = [];
  for (const [name, { load }] of Object.entries(COMMANDS)) {
    const command = await load();
    const all = [command, ...(command.subcommands ?? [])];
    if (all.some(({ options }) => options.includes("json")) && !tried.has(name)) missing.push(name);
  }
  expect(missing.filter((name) => name !== "quantize-onnx")).toEqual([]);
  const kinds = [...schemaFiles().keys()].flatMap((path) => /output\/(\w+)\./.exec(path)?.[1] ?? []);
  const seen = new Set([
    ...ran.filter(({ out }) => out !== "").map(({ kind }) => kind),
    "explanation",
    "visq",
    "result",
  ]);
  expect(kinds.filter((kind) => !seen.has(kind))).toEqual([]);
});

test("minmaxq schema prints what is in schema/", async () => {
  for (const name of ["report", "jobs"]) {
    const { out, code } = await minmaxq(["schema", name], { cwd });
    expect(code).toBe(0);
    expect(out).toBe(schemaFiles().get(`schema/${name === "report" ? "output/" : ""}${name}.schema.json`)!);
  }
  const { out } = await minmaxq(["schema"], { cwd });
  expect(out.trim().split("\n")).toHaveLength(schemaFiles().size);
  const wrong = await minmaxq(["schema", "reprot"], { cwd });
  expect({ code: wrong.code, out: wrong.out }).toEqual({ code: 2, out: "" });
  expect(wrong.err).toContain("choose one of report");
});
