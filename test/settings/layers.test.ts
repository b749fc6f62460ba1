/** Layer settings: the JSON file, `--layer` arguments, and which nodes they mean (reference §2.3, §5.8). */

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configSchema } from "../../scripts/generate-config-schema.ts";
import { importGraph } from "../../src/graph/import.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { readConfig } from "../../src/settings/config.ts";
import { layerArgument, layerEntries, mergeLayers } from "../../src/settings/layer-arguments.ts";
import { type LayerEntry, layerSettings } from "../../src/settings/layers.ts";
import { model } from "../calibration/models.ts";

const folder = mkdtempSync(join(tmpdir(), "minmaxq-layers-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** x ─▶ ABS a/b ─▶ SPLIT s0, s1; s0 ─▶ EXP c1; s1 ─▶ CUSTOM k */
const graph = importGraph(
  model(["x"], ["c1", "k"], (g) => {
    g.tensor("x", [2, 4]).tensor("a/b", [2, 4]).tensor("s0", [1, 4]).tensor("s1", [1, 4]);
    g.tensor("c1", [1, 4]).tensor("k", [1, 4]).constant("axis", [], Int32Array.of(0));
    g.operator("ABS", ["x"], ["a/b"]);
    g.operator("SPLIT", ["axis", "a/b"], ["s0", "s1"], { type: "SplitOptions", value: { numSplits: 2 } });
    g.operator("EXP", ["s0"], ["c1"]);
    g.operator("CUSTOM", ["s1"], ["k"], undefined, "Mine");
  }),
  0,
);

const int16 = { scheme: SCHEMES.int16, granularity: "channel" } as const;
const uint8 = { scheme: SCHEMES.uint8, granularity: "layer" } as const;
const entry = (names: string[], setting: Omit<LayerEntry, "names"> = int16): LayerEntry => ({ names, ...setting });

function config(value: unknown): string {
  const path = join(folder, "config.json");
  writeFileSync(path, typeof value === "string" ? value : JSON.stringify(value));
  return path;
}

describe("the file", () => {
  test("names, names of several, words in any case, one list an alternate", () => {
    const path = config({
      layers: [
        { name: "a", names: ["b", "c"], dtype: "INT16", granularity: "Channel" },
        { dtype: "uint8", granularity: "layer", alternate: { one: ["d"], two: ["e", "f"] } },
      ],
      default_quantization_dtype: "uint8",
      default_granularity: "channel",
      model_path: "x.circle",
    });
    expect(readConfig(path)).toEqual([[entry(["a", "b", "c"])], [entry(["d"], uint8)], [entry(["e", "f"], uint8)]]);
  });

  test("every mistake is told at once, with its place in the file", () => {
    const path = config({
      layers: [
        { name: "a", dtype: "int4", granularity: "channel" },
        { names: [1], dtype: "uint8" },
        { name: "a", dtype: "uint8", granularity: "tensor" },
      ],
    });
    const message = errorOf(() => readConfig(path));
    expect(message).toContain("layers[0].dtype");
    expect(message).toContain("layers[1].names[0]");
    expect(message).toContain("layers[2].granularity");
  });

  test("a granularity that is left out is the model's, where the layer's scheme has it", () => {
    const path = config({
      layers: [
        { name: "a", dtype: "uint8" },
        { name: "b", dtype: "int16" },
      ],
    });
    const [list] = readConfig(path, uint8);
    expect(list!.map(({ names, granularity }) => [names[0], granularity])).toEqual([
      ["a", "layer"],
      ["b", "channel"],
    ]);
    // ONE's tools take none for a mistake (§5.8).
    const message = errorOf(() => readConfig(path, uint8, true));
    expect(message).toContain("layers[0].granularity: is missing");
    expect(message).toContain("layers[1].granularity: is missing");
  });

  test("no JSON, no file, no layers", () => {
    expect(errorOf(() => readConfig(config("{ nonsense")))).toContain("cannot be read as JSON");
    expect(errorOf(() => readConfig(join(folder, "absent.json")))).toContain("absent.json");
    expect(errorOf(() => readConfig(config({})))).toContain("layers");
  });

  test("the shipped JSON Schema is that of the code", () => {
    expect(readFileSync(join(import.meta.dir, "../../schema/layers.schema.json"), "utf8")).toBe(configSchema());
  });
});

describe("nodes", () => {
  test("a setting of one result is one of the operator and all its results", () => {
    expect([...layerSettings([graph], [[entry(["s1"])]]).entries()].sort()).toEqual([
      ["s0", int16],
      ["s1", int16],
    ]);
  });

  test("results of one operator cannot differ", () => {
    expect(errorOf(() => layerSettings([graph], [[entry(["s0"]), entry(["s1"], uint8)]]))).toContain("set differently");
  });

  test("unknown names are all told; a name twice is an error; custom operators cannot be set", () => {
    const message = errorOf(() => layerSettings([graph], [[entry(["nix", "nada"])]]));
    expect(message).toContain('"nix"');
    expect(message).toContain('"nada"');
    expect(errorOf(() => layerSettings([graph], [[entry(["c1"]), entry(["c1"])]]))).toContain("twice");
    expect(errorOf(() => layerSettings([graph], [[entry(["k"])]]))).toContain("CUSTOM:Mine");
  });

  test("of several lists exactly one must fit; an empty one always fits", () => {
    const fits = [entry(["c1"])];
    const not = [entry(["nix"])];
    expect([...layerSettings([graph], [not, fits]).keys()]).toEqual(["c1"]);
    expect(errorOf(() => layerSettings([graph], [fits, fits]))).toContain("2 of its alternatives fit");
    expect(errorOf(() => layerSettings([graph], [not, not]))).toContain("none of its alternatives fits");
    expect(errorOf(() => layerSettings([graph], [[], fits]))).toContain("2 of its alternatives fit");
  });
});

describe("--layer", () => {
  test("a name may contain = and :", () => {
    expect(layerArgument("a=b:0=INT16")).toEqual({ pattern: "a=b:0", setting: int16 });
    expect(layerArgument("x=uint8:layer")).toEqual({ pattern: "x", setting: uint8 });
  });

  test.each(["x", "=int16", "x=int4", "x=int16:row", "x=int16:layer"])("%s is refused", (text) => {
    expect(errorOf(() => layerArgument(text))).toContain("--layer");
  });

  test("globs match slashes, only layers that can be set, and the last one counts", () => {
    const layers = [layerArgument("*=int16"), layerArgument("c?=uint8:layer")];
    expect(layerEntries([graph], layers)).toEqual([entry(["a/b"]), entry(["s0"]), entry(["s1"]), entry(["c1"], uint8)]);
    expect(layerEntries([graph], [layerArgument("a*=int16")])).toEqual([entry(["a/b"])]);
  });

  test("what matches nothing is told with a typo hint", () => {
    const message = errorOf(() => layerEntries([graph], [layerArgument("c2=int16"), layerArgument("zz*=int16")]));
    expect(message).toContain('did you mean "c1"?');
    expect(message).toContain('"zz*"');
    // The end of a name is enough for a hint, in any case; by letters alone "c1" would be as near.
    expect(errorOf(() => layerEntries([graph], [layerArgument("B=int16")]))).toContain('did you mean "a/b"?');
  });

  test("arguments go over the file's settings", () => {
    expect(mergeLayers([[entry(["a", "b"])]], [entry(["b"], uint8)])).toEqual([[entry(["a"]), entry(["b"], uint8)]]);
    expect(errorOf(() => mergeLayers([[], []], [entry(["b"])]))).toContain("alternates");
  });
});

function errorOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("no error");
}
