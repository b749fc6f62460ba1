/** `minmaxq circle-mpqsolver` as people run it: its candidates are those of circle-quantizer, its errors those of circle-eval-diff. */
import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { floats, npy } from "../calibration/support.ts";
import { type GraphBuilder, model, recorded } from "../helpers/models.ts";
import { write } from "./models.ts";
import { cleanUpAfterwards, files, folder, minmaxq, refused, succeeded } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const at = (name: string) => join(cwd, name);
const DATA = ["--data", "data.npy", "--data_format", "npy"];
const ENDS = ["--input_model", "chain.circle", "--output_model", "out.circle"];
const json = (name: string) => JSON.parse(readFileSync(at(name), "utf8"));
const same = (a: string, b: string) => expect(readFileSync(at(a))).toEqual(readFileSync(at(b)));

/** Six operators in a row, wide ranges first: the front is what int16 helps. */
function chain() {
  return model(["x"], ["y"], (graph: GraphBuilder) => {
    const limits = [4, 3.9, 8, 2, 2, 1, 1];
    const kinds = ["ABS", "TANH", "MUL", "ABS", "TANH", "LOGISTIC"] as const;
    graph.tensor("x", [1, 64], "FLOAT32", recorded(-4, 4)).constant("c", [1], Float32Array.of(2));
    let last = "x";
    for (const [i, kind] of kinds.entries()) {
      const name = i === kinds.length - 1 ? "y" : `t${i}`;
      graph.tensor(name, [1, 64], "FLOAT32", recorded(-limits[i + 1]!, limits[i + 1]!));
      if (kind === "MUL") graph.operator(kind, [last, "c"], [name], { type: "MulOptions", value: {} });
      else graph.operator(kind, [last], [name]);
      last = name;
    }
  });
}

/** Softmax of single operators behind a RELU, with ranges. */
function softmax() {
  return model(["x"], ["y"], (graph: GraphBuilder) => {
    const range = { x: [-2, 2], r: [0, 2], sub: [-2, 0], exp: [0, 1], y: [0, 1], max: [0, 2], sum: [1, 4] } as const;
    for (const [name, [low, high]] of Object.entries(range))
      graph.tensor(name, name === "max" || name === "sum" ? [1, 1] : [1, 4], "FLOAT32", recorded(low, high));
    const reduce = { type: "ReducerOptions", value: { keepDims: true } } as const;
    graph
      .constant("axis", [1], Int32Array.of(1))
      .operator("RELU", ["x"], ["r"])
      .operator("REDUCE_MAX", ["r", "axis"], ["max"], reduce)
      .operator("SUB", ["r", "max"], ["sub"], { type: "SubOptions", value: {} })
      .operator("EXP", ["sub"], ["exp"], { type: "ExpOptions", value: {} })
      .operator("SUM", ["exp", "axis"], ["sum"], reduce)
      .operator("DIV", ["exp", "sum"], ["y"], { type: "DivOptions", value: {} });
  });
}

const scheme = ["--quantize_with_minmax", "float32"];
const io = ["--input_type", "uint8", "--output_type", "uint8"];

beforeAll(async () => {
  await write(chain(), at("chain.circle"));
  await write(softmax(), at("softmax.circle"));
  const samples = Array.from({ length: 3 * 64 }, (_, i) => 4 * Math.sin(i * i));
  writeFileSync(at("data.npy"), npy("<f4", [3, 1, 64], floats(...samples)));
  for (const [dtype, name] of [
    ["uint8", "q8.circle"],
    ["int16", "q16.circle"],
  ])
    await succeeded(["circle-quantizer", ...scheme, dtype!, "channel", ...io, "chain.circle", name!], { cwd });
});

/** Mean absolute error of a quantized model as circle-eval-diff prints it, on the same samples as one raw file a record. */
async function errorOf(quantized: string): Promise<number> {
  await succeeded(["circle-quantizer", "--fake_quantize", quantized, "fake.circle"], { cwd });
  const words = ["--data", "data.npy", "--json"];
  const { out } = await succeeded(["compare", "chain.circle", "fake.circle", ...words], { cwd });
  return JSON.parse(out).outputs[0].metrics.mae;
}

describe("bisection", () => {
  for (const [bisection, end] of [
    ["true", "front"],
    ["False", "back"],
  ] as const)
    test(`int16 at the ${end}`, async () => {
      const words = ["--bisection", bisection, "--qerror_ratio", "0.6", "--save_intermediate", `dumps-${end}`, ...DATA];
      const { out } = await succeeded(["circle-mpqsolver", ...words, ...ENDS], { cwd });
      const dump = (name: string) => `dumps-${end}/${name}`;
      const lines = readFileSync(at(dump("errors.mpq.txt")), "utf8")
        .trim()
        .split("\n");
      const errors = new Map(lines.map((line) => line.split(" ") as [string, string]));
      const order = [...errors.keys()];
      const cuts = order.slice(2, -1);
      expect(order).toEqual(["Q8", "Q16", ...cuts.map((_, i) => String(i + 1)), "FINAL"]);
      expect(Number(errors.get("Q8"))).toBeCloseTo(await errorOf("q8.circle"), 6);
      expect(Number(errors.get("Q16"))).toBeCloseTo(await errorOf("q16.circle"), 6);
      const numbers = [...errors.keys()].filter((key) => /^\d+$/.test(key));
      expect(numbers.length).toBeGreaterThan(1);
      for (const number of numbers) {
        const config = dump(`Configuration_${number}.mpq.json`);
        await succeeded(
          ["circle-quantizer", ...scheme, "uint8", "channel", ...io, "--config", config, "chain.circle", "q.circle"],
          { cwd },
        );
        same("q.circle", dump(`quantized_${number}.mpq.circle`));
        expect(Number(errors.get(number))).toBeCloseTo(await errorOf("q.circle"), 6);
      }
      // The best candidate below the target, by what was measured.
      const [q8, q16] = [Number(errors.get("Q8")), Number(errors.get("Q16"))];
      const target = q16 + 0.6 * (q8 - q16);
      const good = numbers.filter((number) => Number(errors.get(number)) < target);
      expect(good.length).toBeGreaterThan(0);
      const chosen = good.at(-1)!;
      same("out.circle", dump(`quantized_${chosen}.mpq.circle`));
      expect(json(dump("FinalConfiguration.mpq.json"))).toEqual(json(dump(`Configuration_${chosen}.mpq.json`)));
      expect(errors.get("FINAL")).toBe(errors.get(chosen)!);
      expect(out).toContain(`out.circle: int16 at the ${end}`);
      expect(files(cwd).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    });

  test("auto takes the end with the larger errors", async () => {
    const run = async (name: string, errors: Record<string, number>) => {
      writeFileSync(at(name), JSON.stringify({ meta: {}, error: [errors] }));
      const words = ["--bisection", "auto", "--visq_file", name, "--qerror_ratio", "0.6", ...DATA];
      return (await succeeded(["circle-mpqsolver", ...words, ...ENDS], { cwd })).out;
    };
    expect(await run("front.json", { t0: 5, t4: 1 })).toContain("int16 at the front");
    expect(await run("back.json", { t0: 1, t4: 5 })).toContain("int16 at the back");
  });

  test("a ratio of 0 gives int16, of 1 uint8", async () => {
    for (const [ratio, expected] of [
      ["0", "q16.circle"],
      ["1", "q8.circle"],
    ] as const) {
      const words = ["--bisection", "true", "--qerror_ratio", ratio, ...DATA];
      await succeeded(["circle-mpqsolver", ...words, ...ENDS], { cwd });
      same("out.circle", expected);
    }
  });
});

describe("patterns", () => {
  test("SUB and EXP of a softmax get int16", async () => {
    const words = ["--patterns", "--u8_softmax_with_s16_sub_exp", "--save_intermediate", "dumps-soft"];
    const ends = ["--input_model", "softmax.circle", "--output_model", "soft.circle"];
    await succeeded(["circle-mpqsolver", ...words, ...ends], { cwd });
    const high = { dtype: "int16", granularity: "channel" };
    const low = { dtype: "uint8", granularity: "channel" };
    writeFileSync(
      at("by-hand.json"),
      JSON.stringify({
        layers: [
          { names: ["sub", "exp"], ...high },
          { names: ["r", "max", "sum", "y"], ...low },
        ],
      }),
    );
    await succeeded(
      [
        "circle-quantizer",
        ...scheme,
        "uint8",
        "channel",
        ...io,
        "--config",
        "by-hand.json",
        "softmax.circle",
        "h.circle",
      ],
      { cwd },
    );
    same("soft.circle", "h.circle");
    expect(json("dumps-soft/FinalConfiguration.mpq.json")).toMatchObject({ default_quantization_dtype: "uint8" });
  });

  test("the other layers have --quantized_dtype", async () => {
    const words = ["--patterns", "--u8_softmax_with_s16_sub_exp", "--quantized_dtype", "int16"];
    const ends = ["--input_model", "softmax.circle", "--output_model", "soft16.circle"];
    await succeeded(["circle-mpqsolver", ...words, ...ends], { cwd });
    const { out } = await succeeded(["inspect", "soft16.circle", "--json"], { cwd });
    expect(out).toContain("INT16");
  });

  test("without a formula all layers have one dtype, as in ONE", async () => {
    const { code, err } = await minmaxq(["circle-mpqsolver", "--patterns", "-V", ...ENDS], { cwd });
    expect({ code, err }).toEqual({
      code: 0,
      err: "warning: --patterns: without --u8_layernorm_with_s16_variance or --u8_softmax_with_s16_sub_exp all layers are uint8\n",
    });
    same("out.circle", "q8.circle");
  });

  test("a formula that is not there is told", async () => {
    const words = ["--patterns", "--u8_layernorm_with_s16_variance", ...ENDS];
    const { code, err } = await minmaxq(["circle-mpqsolver", ...words], { cwd });
    expect({ code, err }).toEqual({
      code: 0,
      err: "warning: chain.circle: --u8_layernorm_with_s16_variance finds no layer normalization\n",
    });
    same("out.circle", "q8.circle");
  });
});

describe("wrong command lines and files", () => {
  const rows: [words: string[], code: number, ...says: (string | RegExp)[]][] = [
    [[], 2, "--input_model and --output_model missing", "minmaxq circle-mpqsolver --bisection"],
    [ENDS, 2, "exactly one of --bisection"],
    [[...ENDS, "--bisection", "true", "--patterns"], 2, "exactly one of --bisection"],
    [[...ENDS, "--bisection", "maybe"], 2, '"maybe"', "auto, true, false"],
    [[...ENDS, "--bisection", "auto"], 2, "--visq_file", "minmaxq visq"],
    [[...ENDS, "--bisection", "true", "--qerror_ratio", "1.5"], 2, "--qerror_ratio", "from 0 to 1"],
    [[...ENDS, "--bisection", "true", "--granularity", "row"], 2, "--granularity", "layer, channel"],
    [[...ENDS, "--bisection", "true", "--data", "absent.h5"], 1, "absent.h5: "],
    [[...ENDS, "--bisection", "auto", "--visq_file", "broken.json"], 1, "broken.json: ", "visq"],
    [["--bisection", "true", "--input_model", "no.circle", "--output_model", "o.circle"], 1, "no.circle: "],
  ];
  for (const [words, code, ...says] of rows)
    test(words.slice(ENDS.length).join(" ") || "(too little)", async () => {
      writeFileSync(at("broken.json"), '{"error": []}');
      await refused(["circle-mpqsolver", ...words], { cwd }, code, ...says);
    });
});
