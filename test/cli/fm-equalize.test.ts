/** `minmaxq fm-equalize` as people run it, against a naive computation of scales and weights; the function stays as it was. */
import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readRange } from "../../src/model/bytes.ts";
import { ActivationFunctionType, type Model, openModel } from "../../src/model/index.ts";
import { bytesOf, npy } from "../calibration/support.ts";
import { floatRecords, valuesOf } from "../compare/support.ts";
import { type GraphBuilder, model } from "../helpers/models.ts";
import { write } from "./models.ts";
import { cleanUpAfterwards, executable, folder, minmaxq, refused, succeeded } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const at = (name: string) => join(cwd, name);
const f = Math.fround;
const RECORDS = floatRecords([6 * 6 * 2], 3);
const ENDS = ["-i", "net.circle", "-o", "out.circle"];
const DATA = ["-d", "data.npy", "--data_format", "npy"];

const values = (count: number, seed: number) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * seed + 1) * 10 ** ((i % 3) - 1));
const conv = { type: "Conv2DOptions", value: { strideW: 1, strideH: 1 } } as const;
const fused = (name: "NONE" | "RELU" | "RELU6") => ({ fusedActivationFunction: ActivationFunctionType[name] });

/**
 * x ─▶ CONV_2D a ─▶ RELU r ─▶ DEPTHWISE_CONV_2D d (2 for each channel, fused RELU) ─▶ PAD p ─▶ MAX_POOL_2D m ─▶ CONV_2D c ─▶ LEAKY_RELU l ─▶
 * FULLY_CONNECTED y
 */
function net(
  changes: { aFused?: "NONE" | "RELU6"; more?: (graph: GraphBuilder) => void; outputs?: string[] } = {},
): Model {
  return model(["x"], ["y", ...(changes.outputs ?? [])], (graph) => {
    const shapes: Record<string, number[]> = {
      ...{ x: [1, 6, 6, 2], a: [1, 6, 6, 3], r: [1, 6, 6, 3], d: [1, 6, 6, 6], p: [1, 8, 8, 6], m: [1, 4, 4, 6] },
      ...{ c: [1, 4, 4, 4], l: [1, 4, 4, 4], y: [16, 2] },
    };
    for (const [name, shape] of Object.entries(shapes)) graph.tensor(name, shape);
    graph
      .constant("aw", [3, 1, 1, 2], values(6, 1))
      .constant("ab", [3], values(3, 2))
      .constant("dw", [1, 3, 3, 6], values(54, 3))
      .constant("db", [6], values(6, 4))
      .constant("cw", [4, 1, 1, 6], values(24, 5))
      .constant("cb", [4], values(4, 6))
      .constant("yw", [2, 4], values(8, 7))
      .constant("pads", [4, 2], Int32Array.of(0, 0, 1, 1, 1, 1, 0, 0))
      .operator("CONV_2D", ["x", "aw", "ab"], ["a"], {
        ...conv,
        value: { ...conv.value, ...fused(changes.aFused ?? "NONE") },
      })
      .operator("RELU", ["a"], ["r"])
      .operator("DEPTHWISE_CONV_2D", ["r", "dw", "db"], ["d"], {
        type: "DepthwiseConv2DOptions",
        value: { strideW: 1, strideH: 1, depthMultiplier: 2, ...fused("RELU") },
      })
      .operator("PAD", ["d", "pads"], ["p"], { type: "PadOptions", value: {} })
      .operator("MAX_POOL_2D", ["p"], ["m"], {
        type: "Pool2DOptions",
        value: { strideW: 2, strideH: 2, filterWidth: 2, filterHeight: 2 },
      })
      .operator("CONV_2D", ["m", "cw", "cb"], ["c"], conv)
      .operator("LEAKY_RELU", ["c"], ["l"], { type: "LeakyReluOptions", value: { alpha: 0.25 } })
      .operator("FULLY_CONNECTED", ["l", "yw", ""], ["y"], { type: "FullyConnectedOptions", value: {} });
    changes.more?.(graph);
  });
}

/** Constants of a file by name. */
function constants(name: string): Record<string, number[]> {
  const opened = openModel(at(name));
  const all: Record<string, number[]> = {};
  for (const { name: tensor, buffer, type } of opened.model.subgraphs![0]!.tensors!) {
    const data = opened.model.buffers![buffer ?? 0]?.data;
    if (data && "source" in data && (type ?? 0) === 0) all[tensor!] = [...new Float32Array(readRange(data).buffer)];
  }
  opened.close();
  return all;
}

/** The largest size of each channel, the last axis being `count` long. */
function peaks(records: readonly Float32Array[], count: number): number[] {
  const all = new Array<number>(count).fill(0);
  for (const record of records)
    for (const [i, value] of record.entries()) all[i % count] = Math.max(all[i % count]!, Math.abs(value));
  return all;
}

/** Scales of a pattern, from the sizes and the weights behind: `of[i]` are those on channel i. */
const scalesOf = (act: number[], of: number[][]) =>
  act.map((size, i) => Math.max(f(f(Math.sqrt(size)) / f(Math.sqrt(Math.max(...of[i]!.map(Math.abs))))), f(1e-5)));

const PATTERNS = [
  { front: "a", back: "d", type: "ScaleOnly" },
  { front: "d", back: "c", type: "ScaleOnly" },
  { front: "c", back: "y", type: "ScaleOnly" },
];

let act: Record<"a" | "d" | "c", number[]>;

beforeAll(async () => {
  await write(net(), at("net.circle"));
  writeFileSync(at("data.npy"), npy("<f4", [3, 6, 6, 2], Buffer.concat(RECORDS.map(([x]) => x!))));
  const seen = await valuesOf(net(), ["a", "d", "c"], RECORDS);
  act = { a: peaks(seen.get("a")!, 3), d: peaks(seen.get("d")!, 6), c: peaks(seen.get("c")!, 4) };
});

/** All constants as they should be: each product is rounded once; what two patterns change is rounded twice. */
function expected(): Record<string, number[]> {
  const was = constants("net.circle");
  const channel = (name: string, count: number, index: number) => was[name]!.filter((_, i) => i % count === index);
  const d = (i: number) => [...channel("dw", 6, 2 * i), ...channel("dw", 6, 2 * i + 1)];
  const a = scalesOf(act.a, [d(0), d(1), d(2)]);
  const dd = scalesOf(
    act.d,
    [0, 1, 2, 3, 4, 5].map((i) => channel("cw", 6, i)),
  );
  const c = scalesOf(
    act.c,
    [0, 1, 2, 3].map((i) => channel("yw", 4, i)),
  );
  const inverse = (scale: number) => f(1 / scale);
  return {
    aw: was.aw!.map((w, i) => f(w * inverse(a[Math.floor(i / 2)]!))),
    ab: was.ab!.map((b, i) => f(b * inverse(a[i]!))),
    dw: was.dw!.map((w, i) => f(f(w * a[Math.floor((i % 6) / 2)]!) * inverse(dd[i % 6]!))),
    db: was.db!.map((b, i) => f(b * inverse(dd[i]!))),
    cw: was.cw!.map((w, i) => f(f(w * dd[i % 6]!) * inverse(c[Math.floor(i / 6)]!))),
    cb: was.cb!.map((b, i) => f(b * inverse(c[i]!))),
    yw: was.yw!.map((w, i) => f(w * c[i % 4]!)),
  };
}

test("all patterns, bit for bit", async () => {
  const { out } = await succeeded(["fm-equalize", ...ENDS, ...DATA], { cwd });
  expect(out).toBe("out.circle: channels of 3 tensors scaled\n");
  const found = constants("out.circle");
  for (const [name, all] of Object.entries(expected())) expect([name, found[name]]).toEqual([name, all]);
});

test("the function is unchanged", async () => {
  const opened = openModel(at("out.circle"));
  const [before, after] = [await valuesOf(net(), ["y"], RECORDS), await valuesOf(opened.model, ["y"], RECORDS)];
  opened.close();
  for (const [record, was] of before.get("y")!.entries()) {
    const largest = Math.max(...was.map(Math.abs));
    const is = after.get("y")![record]!;
    for (const [i, value] of was.entries()) expect(Math.abs(value - is[i]!) / largest).toBeLessThan(1e-5);
  }
});

test("--fme_patterns is written: all patterns, with the largest sizes in float32", async () => {
  // Programs that ONE's script would call instead of its own are nothing to us.
  const programs = ["--fme_detect=a", "--dalgona", "b", "--fme_apply", "c", "--allow_dup_op"];
  const words = ["-i", "net.circle", "-onamed.circle", ...DATA, "-f", "found.json", ...programs];
  await succeeded(["fm-equalize", ...words], { cwd });
  expect(readFileSync(at("named.circle"))).toEqual(readFileSync(at("out.circle")));
  expect(JSON.parse(readFileSync(at("found.json"), "utf8"))).toEqual(
    PATTERNS.map((each) => ({ ...each, act_scale: act[each.front as "a"] })),
  );
  // It can be applied, then without samples.
  await succeeded(["fm-equalize", "-i", "net.circle", "-o", "again.circle", "--apply_patterns", "found.json"], { cwd });
  expect(readFileSync(at("again.circle"))).toEqual(readFileSync(at("out.circle")));
});

test("a file of patterns: those, with the sizes that it gives", async () => {
  writeFileSync(at("all.json"), JSON.stringify(PATTERNS));
  await succeeded(["fm-equalize", "-i", "net.circle", "-o", "same.circle", ...DATA, "--apply_patterns", "all.json"], {
    cwd,
  });
  expect(readFileSync(at("same.circle"))).toEqual(readFileSync(at("out.circle")));
  writeFileSync(
    at("given.json"),
    JSON.stringify(PATTERNS.map((each) => ({ ...each, act_scale: act[each.front as "a"] }))),
  );
  // Nothing has to be run then.
  await succeeded(["fm-equalize", "-i", "net.circle", "--output=given.circle", "--apply_patterns", "given.json"], {
    cwd,
  });
  expect(readFileSync(at("given.circle"))).toEqual(readFileSync(at("out.circle")));
  writeFileSync(at("one.json"), JSON.stringify([PATTERNS[2]]));
  await succeeded(["fm-equalize", "-i", "net.circle", "-o", "one.circle", ...DATA, "--apply_patterns", "one.json"], {
    cwd,
  });
  const [was, is] = [constants("net.circle"), constants("one.circle")];
  expect(is.aw).toEqual(was.aw!);
  expect(is.yw).toEqual(expected().yw!);
});

describe("what cannot be scaled is left as it is", () => {
  const rows: [name: string, of: () => Model, scaled: number][] = [
    ["a fused activation with an upper end", () => net({ aFused: "RELU6" }), 2],
    ["a front that is an output, too", () => net({ outputs: ["a"] }), 2],
    [
      "a front with another user",
      () => net({ more: (graph) => graph.tensor("z", [1, 6, 6, 3]).operator("ABS", ["a"], ["z"]), outputs: ["z"] }),
      2,
    ],
    [
      "nothing to scale",
      () =>
        model(["x"], ["y"], (graph) =>
          graph.tensor("x", [1, 6, 6, 2]).tensor("y", [1, 6, 6, 2]).operator("RELU", ["x"], ["y"]),
        ),
      0,
    ],
  ];
  for (const [name, of, scaled] of rows)
    test(name, async () => {
      await write(of(), at("other.circle"));
      const { code, out } = await minmaxq(["fm-equalize", "-i", "other.circle", "-o", "o.circle", ...DATA], { cwd });
      const count = `${scaled} tensor${scaled === 1 ? "" : "s"}`;
      expect({ code, out }).toEqual({ code: 0, out: `o.circle: channels of ${count} scaled\n` });
      if (scaled > 0) expect(constants("o.circle").aw).toEqual(constants("net.circle").aw!);
    });

  test("weights that another operator has, too, stay with that one", async () => {
    const shared = net({
      more: (graph) => graph.tensor("s", [1, 6, 6, 3]).operator("CONV_2D", ["x", "aw", "ab"], ["s"], conv),
      outputs: ["s"],
    });
    await write(shared, at("shared.circle"));
    await succeeded(["fm-equalize", "-i", "shared.circle", "-o", "o.circle", ...DATA], { cwd });
    const opened = openModel(at("o.circle"));
    const [before, after] = [await valuesOf(shared, ["s"], RECORDS), await valuesOf(opened.model, ["s"], RECORDS)];
    opened.close();
    expect(after.get("s")).toEqual(before.get("s")!);
  });
});

describe("wrong command lines and files", () => {
  const file = (content: unknown) => {
    writeFileSync(at("wrong.json"), typeof content === "string" ? content : JSON.stringify(content));
    return [...ENDS.slice(0, 2), "-o", "no.circle", ...DATA, "--apply_patterns", "wrong.json"];
  };
  const pattern = (change: object) => [{ ...PATTERNS[0], ...change }];
  const rows: [name: string, words: () => string[], code: number, ...says: string[]][] = [
    ["nothing", () => [], 2, "--input and --output missing", "minmaxq fm-equalize -i model.circle"],
    ["no JSON", () => file("{"), 1, "wrong.json: cannot be read as JSON"],
    ["another type", () => file(pattern({ type: "ScaleShift" })), 1, "wrong.json: 0.type: "],
    ["an unknown name", () => file(pattern({ front: "q" })), 1, '"q": no operator yields'],
    ["no pattern", () => file(pattern({ back: "y" })), 1, '"a": its channels cannot be scaled on to "y"'],
    ["one twice", () => file([PATTERNS[0], PATTERNS[0]]), 1, '"a": is the front of two patterns'],
    ["too few sizes", () => file(pattern({ act_scale: [1, 2] })), 1, '"a": needs 3 finite sizes', "got 2"],
    ["patterns over the model", () => [...ENDS, "-f", "net.circle"], 1, "net.circle: is the input itself"],
    ["no data", () => [...ENDS, "-d", "absent.h5"], 1, "absent.h5: "],
  ];
  for (const [name, words, code, ...says] of rows)
    test(name, async () => {
      const args = words();
      await refused(["fm-equalize", ...args], { cwd }, code, ...says);
      expect(existsSync(at("no.circle"))).toBe(false);
    });
  test("sizes that are no numbers", async () => {
    writeFileSync(at("nan.npy"), npy("<f4", [1, 6, 6, 2], bytesOf(new Float32Array(72).fill(Number.NaN))));
    const words = ["-i", "net.circle", "-o", "no.circle", "-d", "nan.npy", "--data_format", "npy"];
    await refused(["fm-equalize", ...words], { cwd }, 1, /tensor "a": is (NaN|-?Infinity) in a sample/);
  });
});

test("a copy of the executable with its name", async () => {
  const { out } = await succeeded(["--help"], { cwd, program: executable("fm-equalize") });
  expect(out).toStartWith("Usage: minmaxq fm-equalize");
});
