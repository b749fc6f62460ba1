/** Models for tests, made from the schema itself so that no table and no field is forgotten. */
import { rangeOf, readRange } from "../../src/model/bytes.ts";
import {
  BuiltinOperator,
  type Content,
  DIALECTS,
  type Dialect,
  DimensionType,
  ENUMS,
  type FieldSchema,
  type Model,
  type Operator,
  type OperatorCode,
  type ScalarType,
  type SparseIndexVector,
  type SubGraph,
  type Tensor,
  TensorType,
} from "../../src/model/index.ts";
import { ARRAYS, SCALAR_SIZE } from "../../src/model/scalars.ts";

/** full: every field says something; default: every field is there and says its default; none: nothing is there. */
export type Variant = "full" | "default" | "none";

/** Fields that must stay valid indices. */
const INDEX =
  /^(opcodeIndex|buffer|tensorIndex|subgraph|.*[sS]ubgraphInd(ex|ices)|inputs|outputs|intermediates|metadataBuffer)$/;
/** Fields that are hidden in memory, made elsewhere, or refused with a value. */
const OTHERWISE = /^(deprecatedBuiltinCode|externalBuffer|sparsity)$/;

/** A table of a dialect with all its fields as the variant says. */
export function tableOf(dialect: Dialect, name: string, variant: Variant): Record<string, unknown> {
  const table: Record<string, unknown> = {};
  if (variant === "none") return table;
  for (const field of DIALECTS[dialect].tables[name]!) {
    if (!OTHERWISE.test(field.name)) table[field.name] = valueFor(dialect, field, variant);
  }
  return table;
}

function valueFor(dialect: Dialect, field: FieldSchema, variant: Variant): unknown {
  const full = variant === "full";
  const index = INDEX.test(field.name);
  switch (field.kind) {
    case "scalar": {
      if (!full || index) return field.default;
      if (field.enum) return ENUMS[field.enum]![Object.keys(DIALECTS[dialect].enums[field.enum]!).at(-1)!];
      if (field.type === "bool") return !field.default;
      // Offsets and sizes of 1 are placeholders without a meaning.
      if (SCALAR_SIZE[field.type as ScalarType] === 8) return field.type === "long" ? -(2n ** 62n) : 1n;
      return field.type === "float" ? 1.5 : field.type === "uint" ? 2 ** 32 - 3 : 7;
    }
    case "scalars": {
      const big = SCALAR_SIZE[field.type as ScalarType] === 8;
      const values = !full ? [] : index ? [0] : field.name === "shape" ? [2, 3] : big ? [-5n, 9n] : [1, 0, 2];
      return ARRAYS[field.type as ScalarType].from(values as never[]);
    }
    case "string":
      return full ? `${field.name} é 漢字` : "";
    case "table":
      return tableOf(dialect, field.type, variant);
    case "tables":
      return full ? [tableOf(dialect, field.type, "full"), {}] : [];
    case "content":
      return rangeOf(full ? Uint8Array.of(1, 2, 3, 4, 5) : new Uint8Array());
    case "union": {
      if (!full) return { type: "NONE", value: null };
      const type = Object.keys(DIALECTS[dialect].unions[field.type]!).at(-1)!;
      return { type, value: tableOf(dialect, type, "full") };
    }
  }
}

/** A union with each of its members in each variant, without a value too. */
function unionsOf(dialect: Dialect, union: string): { type: string; value: unknown }[] {
  return Object.keys(DIALECTS[dialect].unions[union]!).flatMap((type) => [
    { type, value: tableOf(dialect, type, "full") },
    { type, value: tableOf(dialect, type, "default") },
    { type, value: {} },
    { type, value: null },
  ]);
}

const INDEX_VECTORS = { Int32Vector: Int32Array, Uint16Vector: Uint16Array, Uint8Vector: Uint8Array } as const;

/** A 2×3 FLOAT32 tensor of which [0,0] and [1,2] are stored, with one of the three kinds of index vectors. */
export function sparseTensor(kind: keyof typeof INDEX_VECTORS, buffer: number): Tensor {
  const vector = (...values: number[]) =>
    ({ type: kind, value: { values: INDEX_VECTORS[kind].from(values) } }) as SparseIndexVector;
  return {
    name: `sparse ${kind}`,
    shape: Int32Array.of(2, 3),
    buffer,
    sparsity: {
      traversalOrder: Int32Array.of(0, 1),
      blockMap: new Int32Array(),
      dimMetadata: [
        { format: DimensionType.DENSE, denseSize: 2 },
        { format: DimensionType.SPARSE_CSR, arraySegments: vector(0, 1, 2), arrayIndices: vector(0, 2) },
      ],
    },
  };
}

/** A valid model with every table, field, union member, operator and tensor type of a dialect. */
export function everything(dialect: Dialect): Model {
  const { tables, enums } = DIALECTS[dialect];
  const tensors: Tensor[] = [
    { ...tableOf(dialect, "Tensor", "full"), sparsity: {} as never },
    { ...tableOf(dialect, "Tensor", "default"), ...(dialect === "tflite" && { externalBuffer: 0 }) },
    {},
    ...Object.keys(enums.TensorType!).map((name) => ({ name, type: TensorType[name as keyof typeof TensorType] })),
    ...unionsOf(dialect, "QuantizationDetails").map((details) => ({ quantization: { details: details as never } })),
    ...(["Int32Vector", "Uint16Vector", "Uint8Vector"] as const).map((kind) => sparseTensor(kind, 4)),
    { name: "shared 1", shape: Int32Array.of(2), buffer: 4 },
    { name: "shared 2", shape: Int32Array.of(4), type: TensorType.INT16, buffer: 4 },
    { name: "dynamic", shape: Int32Array.of(1, 2), shapeSignature: Int32Array.of(-1, 2) },
  ];
  tensors[0]!.sparsity = sparseTensor("Uint8Vector", 0).sparsity!;
  const operators: Operator[] = [
    { ...tableOf(dialect, "Operator", "full"), largeCustomOptions: rangeOf(Uint8Array.of(9, 8, 7)) },
    tableOf(dialect, "Operator", "default"),
    {},
    { inputs: Int32Array.of(0, -1), outputs: Int32Array.of(1), customOptions: Uint8Array.of(1, 2, 3) },
    ...unionsOf(dialect, "BuiltinOptions").map((options) => ({ builtinOptions: options as never })),
    ...unionsOf(dialect, "BuiltinOptions2").map((options) => ({ builtinOptions2: options as never })),
    { largeCustomOptions: rangeOf(new TextEncoder().encode("large custom options")) },
  ];
  // An Operator has its large custom options either outside or not at all.
  delete operators[0]!.largeCustomOptionsOffset;
  delete operators[0]!.largeCustomOptionsSize;
  const graph: SubGraph = { ...tableOf(dialect, "SubGraph", "full"), tensors, operators };
  const operatorCodes: OperatorCode[] = [
    ...Object.keys(enums.BuiltinOperator!).map((name) => ({
      builtinCode: BuiltinOperator[name as keyof typeof BuiltinOperator],
    })),
    { builtinCode: BuiltinOperator.CUSTOM, customCode: "MyOperator", version: 3 },
  ];
  const full = tableOf(dialect, "Model", "full");
  if (!tables.Model) throw new Error("no Model");
  return {
    ...full,
    operatorCodes,
    subgraphs: [graph, { ...tableOf(dialect, "SubGraph", "default"), tensors: [{}] }, { name: "third" }],
    buffers: [
      {},
      { data: rangeOf(new Uint8Array()) },
      tableOf(dialect, "Buffer", "full"),
      tableOf(dialect, "Buffer", "default"),
      { data: rangeOf(Uint8Array.of(0, 0, 128, 63, 0, 0, 0, 64)) },
    ],
    signatureDefs: [{ ...tableOf(dialect, "SignatureDef", "full") }, {}, tableOf(dialect, "SignatureDef", "default")],
  } as Model;
}

/** A small model with a bit of all that real ones have. */
export function small(): Model {
  return {
    version: 3,
    description: "small",
    operatorCodes: [{ builtinCode: BuiltinOperator.CONV_2D, version: 2 }],
    subgraphs: [
      {
        name: "main",
        inputs: Int32Array.of(0),
        outputs: Int32Array.of(2),
        tensors: [
          { name: "in", shape: Int32Array.of(1, 1, 1, 2), shapeSignature: Int32Array.of(-1, 1, 1, 2) },
          {
            name: "weights",
            shape: Int32Array.of(2, 1, 1, 2),
            buffer: 1,
            quantization: { min: Float32Array.of(-1), max: Float32Array.of(1), zeroPoint: BigInt64Array.of(0n) },
          },
          { name: "out", shape: Int32Array.of(1, 1, 1, 2) },
          sparseTensor("Uint8Vector", 2),
        ],
        operators: [
          {
            inputs: Int32Array.of(0, 1, -1),
            outputs: Int32Array.of(2),
            builtinOptions: { type: "Conv2DOptions", value: { strideW: 1, strideH: 1 } },
          },
        ],
      },
    ],
    buffers: [{}, { data: rangeOf(new Uint8Array(16).fill(7)) }, { data: rangeOf(new Uint8Array(8).fill(9)) }],
    metadata: [{ name: "meta", buffer: 1 }],
    signatureDefs: [
      { signatureKey: "serve", inputs: [{ name: "x", tensorIndex: 0 }], outputs: [{ name: "y", tensorIndex: 2 }] },
    ],
  };
}

/** The model with its contents read, so that two models compare whole: absent and empty differ, so do typed arrays. */
export function loaded(value: unknown): unknown {
  if (ArrayBuffer.isView(value) || value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(loaded);
  if ("source" in value) return { content: readRange(value as Exclude<Content, { deferred: true }>) };
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([name, member]) => [name, loaded(member)]),
  );
}

/** Names of all fields that are present somewhere in a model, as "Table.field". */
export function fieldsIn(dialect: Dialect, table: string, value: Record<string, unknown>, into: Set<string>): void {
  for (const field of DIALECTS[dialect].tables[table]!) {
    const member = value[field.name] as never;
    if (member === undefined) continue;
    into.add(`${table}.${field.name}`);
    if (field.kind === "table") fieldsIn(dialect, field.type, member, into);
    if (field.kind === "tables") for (const one of member as never[]) fieldsIn(dialect, field.type, one, into);
    if (field.kind === "union") {
      const { type, value } = member as { type: string; value: Record<string, unknown> | null };
      if (value) fieldsIn(dialect, type, value, into);
    }
  }
}

/** A seeded generator of numbers from 0 to below `below`. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
