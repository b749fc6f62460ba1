/** What is written and read again says the same, for everything that the formats can say. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { MemoryBytes, rangeOf } from "../../src/model/bytes.ts";
import {
  BuiltinOperator,
  byteLength,
  bytesPerElement,
  DIALECTS,
  type Dialect,
  type Model,
  nameOf,
  type OpenedModel,
  openModel,
  operatorName,
  readModel,
  serializeModel,
  TensorType,
  type WriteOptions,
  withDefaults,
} from "../../src/model/index.ts";
import { everything, fieldsIn, loaded, small } from "./everything.ts";

async function again(model: Model, options: WriteOptions): Promise<OpenedModel> {
  return readModel(new MemoryBytes(await serializeModel(model, options)));
}

describe.each(["circle", "tflite"] as const)("%s", (dialect: Dialect) => {
  test("everything the schema knows survives", async () => {
    const model = everything(dialect);
    const opened = await again(model, { dialect });
    expect(opened.dialect).toBe(dialect);
    expect(opened.unknown).toEqual([]);
    expect(opened.external).toBe(false);
    expect(loaded(opened.model)).toStrictEqual(loaded(model));
    const twice = await again(opened.model, { dialect });
    expect(loaded(twice.model)).toStrictEqual(loaded(model));
  });

  test("the model above has every field of every table", () => {
    const present = new Set<string>();
    fieldsIn(dialect, "Model", everything(dialect) as Record<string, unknown>, present);
    const missing = Object.entries(DIALECTS[dialect].tables).flatMap(([table, fields]) =>
      fields.map((field) => `${table}.${field.name}`).filter((name) => !present.has(name)),
    );
    // The first is not in memory; the others only without large custom options, see the variant "default".
    const circleOnly = /^(MX|GRU|BCQ|InstanceNorm|RmsNorm|RoPE|RunModel)/;
    expect(missing.filter((name) => dialect === "circle" || !circleOnly.test(name))).toEqual([
      "OperatorCode.deprecatedBuiltinCode",
    ]);
  });

  test("data behind the FlatBuffer", async () => {
    const model = everything(dialect);
    // In this mode offset and size say where the data is, so placeholders beside data are not kept.
    for (const buffer of model.buffers!) {
      delete buffer.offset;
      delete buffer.size;
    }
    const outside = await again(model, { dialect, external: true });
    expect(outside.external).toBe(true);
    expect(loaded(outside.model)).toStrictEqual(loaded(model));
    const limited = await again(model, { dialect, limit: 1000 });
    expect(limited.external).toBe(true);
    expect(loaded(limited.model)).toStrictEqual(loaded(model));
    const inside = await again(outside.model, { dialect });
    expect(inside.external).toBe(false);
    expect(loaded(inside.model)).toStrictEqual(loaded(model));
  });

  test("weights lie at multiples of 16 bytes, shared ones once", async () => {
    const shared = rangeOf(new Uint8Array(1000));
    const buffers = [{}, { data: shared }, { data: rangeOf(new Uint8Array(3)) }, { data: shared }];
    for (const external of [false, true]) {
      const { model, source } = await again({ buffers }, { dialect, external });
      const offsets = model.buffers!.map(({ data }) => (data as { offset?: number } | undefined)?.offset);
      expect(offsets[1]! % 16).toBe(0);
      expect(offsets[2]! % 16).toBe(0);
      expect(offsets[3]).toBe(offsets[1]);
      expect(source.size).toBeLessThan(1300);
    }
  });
});

describe("from one dialect to the other", () => {
  test("a model without specialities reads the same", async () => {
    const model = small();
    const circle = await again(model, { dialect: "circle" });
    const tflite = await again(circle.model, { dialect: "tflite" });
    expect(tflite.dialect).toBe("tflite");
    expect(loaded(tflite.model)).toStrictEqual(loaded(model));
  });

  test("numbers that differ are translated", async () => {
    const model: Model = {
      buffers: [{}],
      subgraphs: [
        {
          debugMetadataIndex: 5,
          tensors: [
            {
              type: TensorType.UINT4,
              quantization: { details: { type: "BlockwiseQuantization", value: { blockSize: 32 } } },
            },
          ],
        },
      ],
    };
    for (const dialect of ["circle", "tflite"] as const) {
      expect(loaded((await again(model, { dialect })).model)).toStrictEqual(loaded(model));
    }
  });

  const cases: [string, Dialect, Model, string][] = [
    ["type", "tflite", { subgraphs: [{ tensors: [{ type: TensorType.MXINT8 }] }] }, "TensorType MXINT8"],
    ["type", "circle", { subgraphs: [{ tensors: [{ type: TensorType.INT2 }] }] }, "TensorType INT2"],
    ["operator", "tflite", { operatorCodes: [{ builtinCode: BuiltinOperator.ROPE }] }, "BuiltinOperator ROPE"],
    [
      "options",
      "tflite",
      { subgraphs: [{ operators: [{ builtinOptions: { type: "RoPEOptions", value: {} } }] }] },
      "RoPEOptions",
    ],
    ["field", "tflite", { subgraphs: [{ tensors: [{ compressionType: 1 }] }] }, "tensors[0].compressionType"],
    ["field", "circle", { externalBufferGroups: [] }, "externalBufferGroups"],
  ];
  test.each(cases)("what has no counterpart is named: %s, %s", async (_, dialect, model, text) => {
    const problem = again(model, { dialect });
    await expect(problem).rejects.toThrow(text);
    await expect(problem).rejects.toThrow(`cannot be written to a .${dialect} file`);
  });
});

test("helpers", () => {
  expect(nameOf(TensorType, TensorType.UINT4)).toBe("UINT4");
  expect(nameOf(TensorType, 99)).toBe("99");
  expect(operatorName(small(), small().subgraphs![0]!.operators![0]!)).toBe("CONV_2D");
  const custom: Model = { operatorCodes: [{ builtinCode: BuiltinOperator.CUSTOM, customCode: "Mine" }] };
  expect(operatorName(custom, {})).toBe("CUSTOM:Mine");
  expect(bytesPerElement(TensorType.INT4)).toBe(0.5);
  expect(byteLength(TensorType.INT4, [3, 3])).toBe(5);
  expect(byteLength(TensorType.FLOAT32, [])).toBe(4);
  expect(byteLength(TensorType.FLOAT32, [-1, 2])).toBeUndefined();
  expect(byteLength(TensorType.STRING, [2])).toBeUndefined();
  expect(withDefaults("Conv2DOptions", { strideW: 2 })).toMatchObject({ strideW: 2, strideH: 0, dilationWFactor: 1 });
});

describe("real models", () => {
  const root = join(import.meta.dir, "../..");
  const shared = join(root, "../shared");
  const paths = existsSync(shared)
    ? [
        ...[...new Glob("models/*.tflite").scanSync(shared)],
        ...[...new Glob("goldens/recipes/*/input.circle").scanSync(shared)].sort().filter((_, i) => i % 10 === 0),
      ].map((path) => join(shared, path))
    : [];
  if (paths.length === 0) console.log(`skipped: real models, ${shared} is not there`);

  test.skipIf(paths.length === 0)(`${paths.length} of them survive`, async () => {
    for (const path of paths) {
      const opened = openModel(path);
      expect(opened.unknown).toEqual([]);
      const { model } = await again(opened.model, { dialect: opened.dialect });
      expect(loaded(model)).toStrictEqual(loaded(opened.model));
      opened.close();
    }
  });
});
