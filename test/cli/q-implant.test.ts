/** `minmaxq q-implant` as people run it: what circle-quantizer made of a model, taken apart into NumPy files and put together again. */
import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readRange } from "../../src/model/bytes.ts";
import { type Model, openModel } from "../../src/model/index.ts";
import { bytesOf, npy } from "../calibration/support.ts";
import { dtypeOf, type Entry, takenApart } from "../helpers/implants.ts";
import { type GraphBuilder, model, recorded } from "../helpers/models.ts";
import { write } from "./models.ts";
import { cleanUpAfterwards, executable, folder, refused, succeeded } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const at = (name: string) => join(cwd, name);

/** x ─▶ CONV_2D conv ─▶ RESHAPE flat ─▶ SPLIT half0, half1 ─▶ ADD y. */
function float(): Model {
  const values = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i + 1));
  return model(["x"], ["y"], (graph: GraphBuilder) =>
    graph
      .tensor("x", [1, 4, 4, 2], "FLOAT32", recorded(-1, 1))
      .constant("w", [4, 1, 1, 2], values(8))
      .constant("b", [4], values(4))
      .constant("shape", [2], Int32Array.of(1, 64))
      .constant("axis", [1], Int32Array.of(1))
      .tensor("conv", [1, 4, 4, 4], "FLOAT32", recorded(-2, 3))
      .tensor("flat", [1, 64], "FLOAT32", recorded(-2, 3))
      .tensor("half0", [1, 32], "FLOAT32", recorded(-2, 3))
      .tensor("half1", [1, 32], "FLOAT32", recorded(-2, 3))
      .tensor("y", [1, 32], "FLOAT32", recorded(-4, 6))
      .operator("CONV_2D", ["x", "w", "b"], ["conv"], { type: "Conv2DOptions", value: { strideW: 1, strideH: 1 } })
      .operator("RESHAPE", ["conv", "shape"], ["flat"], { type: "ReshapeOptions", value: {} })
      .operator("SPLIT", ["axis", "flat"], ["half0", "half1"], { type: "SplitOptions", value: { numSplits: 2 } })
      .operator("ADD", ["half0", "half1"], ["y"], { type: "AddOptions", value: {} }),
  );
}

/** What the tests compare of a model. */
function facts(name: string) {
  const opened = openModel(at(name));
  const all = opened.model.subgraphs![0]!.tensors!.map((tensor) => {
    const { quantization: quant } = tensor;
    const data = opened.model.buffers![tensor.buffer ?? 0]?.data;
    return {
      name: tensor.name,
      dtype: dtypeOf(tensor),
      scale: [...(quant?.scale ?? [])],
      zeroPoint: [...(quant?.zeroPoint ?? [])],
      axis: quant?.scale?.length === 1 ? 0 : (quant?.quantizedDimension ?? 0),
      bytes: data && "source" in data ? [...readRange(data)] : [],
    };
  });
  opened.close();
  return all.sort((a, b) => (a.name! < b.name! ? -1 : 1));
}

let uint8: Record<string, Entry>;

function json(name: string, entries: Record<string, Partial<Entry>>): string {
  writeFileSync(at(`q/${name}`), JSON.stringify(entries));
  return `q/${name}`;
}

beforeAll(async () => {
  await write(float(), at("float.circle"));
  for (const dtype of ["uint8", "int16"])
    await succeeded(
      ["circle-quantizer", "--quantize_with_minmax", "float32", dtype, "channel", "float.circle", `${dtype}.circle`],
      { cwd },
    );
  uint8 = takenApart(at("uint8.circle"), at("q"));
});

for (const dtype of ["uint8", "int16"])
  test(`${dtype}: the same model as the quantizer's`, async () => {
    const entries = takenApart(at(`${dtype}.circle`), at(dtype));
    expect(Object.keys(entries).sort()).toEqual(["b", "conv", "flat", "half0", "half1", "w", "x", "y"]);
    writeFileSync(at(`${dtype}/qparam.json`), JSON.stringify(entries));
    await succeeded(["q-implant", "float.circle", `${dtype}/qparam.json`, "out.circle"], { cwd });
    expect(facts("out.circle")).toEqual(facts(`${dtype}.circle`));
    await succeeded(["verify", "out.circle"], { cwd });
  });

test("what only moves values takes its operand's parameters", async () => {
  const { flat: _, half0: _0, half1: _1, ...rest } = uint8;
  await succeeded(["q-implant", "float.circle", json("less.json", rest), "out.circle"], { cwd });
  expect(facts("out.circle")).toEqual(facts("uint8.circle"));
});

test("dtypes in any case; the dimension of a single scale is kept, as in ONE, where the tensor has it", async () => {
  const { flat: _, half0: _0, half1: _1, x, conv, ...rest } = uint8;
  const changed = {
    ...rest,
    x: { ...x!, dtype: "UInt8", quantized_dimension: 3 },
    conv: { ...conv!, quantized_dimension: 2 },
    y: { ...rest.y!, quantized_dimension: 7 },
  };
  await succeeded(["q-implant", "float.circle", json("case.json", changed), "case.circle"], { cwd });
  expect(facts("case.circle")).toEqual(facts("uint8.circle"));
  const opened = openModel(at("case.circle"));
  const axes = opened.model.subgraphs![0]!.tensors!.map((each) => [
    each.name,
    each.quantization?.quantizedDimension ?? 0,
  ]);
  opened.close();
  // flat has conv's parameters, and two dimensions.
  expect(Object.fromEntries(axes)).toMatchObject({ x: 3, conv: 2, flat: 0, half0: 0, y: 0 });
});

test("a JSON file without a folder in its path", async () => {
  await succeeded(["q-implant", "../float.circle", "less.json", "out.circle"], { cwd: at("q") });
  expect(readFileSync(at("q/out.circle"))).toEqual(readFileSync(at("out.circle")));
});

describe("wrong command lines and files", () => {
  const changed = (name: string, change: Partial<Entry>) => ({ ...uint8, [name]: { ...uint8[name], ...change } });
  const npyFile = (name: string, content: Uint8Array) => {
    writeFileSync(at(`q/${name}.npy`), content);
    return `${name}.npy`;
  };
  const two = () => npyFile("two", npy("<f4", [2], new Uint8Array(8)));
  const rows: [name: string, entries: () => Record<string, Partial<Entry>>, ...says: string[]][] = [
    ["a name that is not there", () => ({ ...uint8, nowhere: uint8.x! }), '"nowhere": no tensor is called so'],
    ["a tensor that is no float", () => ({ ...uint8, axis: uint8.w! }), '"axis": is INT32'],
    ["a constant without values", () => changed("w", { value: undefined }), '"w": is a constant', "'value'"],
    ["values for an activation", () => changed("x", { value: uint8.w!.value! }), '"x": is no constant'],
    ["values of another shape", () => changed("b", { dtype: "uint8", value: uint8.w!.value! }), "[4, 1, 1, 2]", "[4]"],
    ["values of another dtype", () => changed("w", { dtype: "int16" }), "holds u1", 'astype("i2")'],
    ["unequal numbers", () => changed("x", { scale: two() }), '"x": has 2 scales and 1 zero points'],
    ["a file that is not there", () => changed("x", { scale: "absent.npy" }), "absent.npy", "no such file"],
    ["a float that is left", () => ({ ...uint8, conv: undefined as never }), 'CONV_2D "conv"', "still float32"],
    ["dtypes that do not fit", () => changed("conv", { dtype: "int16" }), 'CONV_2D "conv"', "is UINT8 by its operands"],
    ["a dtype that there is none of", () => changed("x", { dtype: "float16" }), "x: dtype"],
    [
      "a zero point beyond the dtype",
      () => changed("x", { zerop: npyFile("far", npy("<i8", [1], bytesOf(BigInt64Array.of(256n)))) }),
      '"x": has a zero point',
      "from 0 to 255",
    ],
    [
      "a negative scale",
      () => changed("x", { scale: npyFile("negative", npy("<f4", [1], bytesOf(Float32Array.of(-1)))) }),
      '"x": has a scale',
    ],
    [
      "a matrix of scales",
      () => changed("x", { scale: npyFile("matrix", npy("<f4", [1, 1], new Uint8Array(4))) }),
      "vector",
    ],
    [
      "another byte order",
      () => changed("x", { scale: npyFile("big", npy(">f4", [1], new Uint8Array(4))) }),
      "big-endian",
    ],
    ["a damaged array", () => changed("x", { scale: npyFile("short", npy("<f4", [1], new Uint8Array(3))) }), "damaged"],
  ];
  for (const [name, entries, ...says] of rows)
    test(name, async () => {
      await refused(
        ["q-implant", "float.circle", json("wrong.json", entries()), "no.circle"],
        { cwd },
        1,
        ...says.map(escaped),
      );
    });
  test("arguments", async () => {
    await refused(
      ["q-implant"],
      { cwd },
      2,
      "INPUT and QPARAM_JSON and OUTPUT missing",
      "minmaxq q-implant model.circle",
    );
    await refused(["q-implant", "float.circle", "no.json", "o.circle"], { cwd }, 1, "no.json: ");
    writeFileSync(at("list.json"), "[1]");
    await refused(["q-implant", "float.circle", "list.json", "o.circle"], { cwd }, 1, "list.json: the file: ");
    await refused(
      ["q-implant", "float.circle", "q/wrong.json", "no/o.circle"],
      { cwd },
      1,
      "the folder no does not exist",
    );
  });
});

/** `refused` takes patterns; these are texts. */
function escaped(text: string): RegExp {
  return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
}

test("a copy of the executable with its name", async () => {
  const { out } = await succeeded(["--help"], { cwd, program: executable("q-implant") });
  expect(out).toStartWith("Usage: minmaxq q-implant [options] INPUT QPARAM_JSON OUTPUT");
});
