/**
 * Makes src/model/schema.gen.ts from schema/circle.fbs and schema/tflite.fbs.
 *
 *   bun run scripts/generate-schema.ts
 *
 * The output is a table that the one generic reader and writer walk (tables → fields with slot, kind, type, default;
 * per dialect), and the TypeScript interfaces, enums and unions for everybody else. In memory a model is in the Circle
 * dialect, so a TFLite field takes Circle's name when slot and type are the same, and TFLite's own members are added.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Declarations, type FieldDeclaration, parseFbs } from "./parse-fbs.ts";

const root = join(import.meta.dir, "..");

const SCALARS: Record<string, string> = {
  bool: "boolean",
  byte: "number",
  ubyte: "number",
  short: "number",
  ushort: "number",
  int: "number",
  uint: "number",
  float: "number",
  double: "number",
  long: "bigint",
  ulong: "bigint",
};

const VECTORS: Record<string, string> = {
  bool: "Uint8Array",
  byte: "Int8Array",
  ubyte: "Uint8Array",
  short: "Int16Array",
  ushort: "Uint16Array",
  int: "Int32Array",
  uint: "Uint32Array",
  float: "Float32Array",
  double: "Float64Array",
  long: "BigInt64Array",
  ulong: "BigUint64Array",
};

/** Fields that are not in memory as they are in the file; read.ts and write.ts know the same three. */
const ADAPTED: Record<string, { hide?: string; as?: Record<string, string>; add?: string }> = {
  Buffer: { as: { data: "Content" } },
  OperatorCode: { hide: "deprecatedBuiltinCode" },
  Operator: {
    add: "  /** Custom options that lie outside the FlatBuffer (large_custom_options_offset and _size). */\n  largeCustomOptions?: Content;\n",
  },
};

interface Field {
  name: string;
  slot: number;
  kind: "scalar" | "scalars" | "string" | "table" | "tables" | "union" | "content";
  type: string;
  enum?: string;
  default?: string;
  deprecated?: true;
  align?: number;
}

/** builtin_options_2 → builtinOptions2 */
function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function fieldOf(table: string, declared: FieldDeclaration, schema: Declarations): Field {
  const base = { name: camelCase(declared.name), slot: declared.id };
  const marks = {
    ...(declared.deprecated && { deprecated: true as const }),
    ...(declared.align && { align: declared.align }),
  };
  const vector = /^\[(\w+)\]$/.exec(declared.type);
  const type = vector?.[1] ?? declared.type;
  if (table === "Buffer" && declared.name === "data") return { ...base, kind: "content", type, ...marks };
  if (type === "string" && !vector) return { ...base, kind: "string", type, ...marks };
  const enumeration = schema.enums.get(type);
  const scalar = enumeration?.base ?? type;
  if (scalar in SCALARS) {
    const named = enumeration && { enum: type };
    if (vector) return { ...base, kind: "scalars", type: scalar, ...named, ...marks };
    const value = declared.default ?? (scalar === "bool" ? "false" : "0");
    const number = enumeration ? String(enumeration.values.get(value) ?? value) : value;
    if (Number.isNaN(Number(number)) && scalar !== "bool")
      throw new Error(`${table}.${declared.name}: default ${value}`);
    const suffix = SCALARS[scalar] === "bigint" ? "n" : "";
    return { ...base, kind: "scalar", type: scalar, ...named, default: number + suffix, ...marks };
  }
  if (schema.unions.has(type) && !vector) return { ...base, kind: "union", type, ...marks };
  if (schema.tables.has(type)) return { ...base, kind: vector ? "tables" : "table", type, ...marks };
  throw new Error(`${table}.${declared.name}: unknown type ${declared.type}`);
}

function fieldsOf(schema: Declarations): Map<string, Field[]> {
  const result = new Map<string, Field[]>();
  for (const [table, fields] of schema.tables)
    result.set(
      table,
      fields.map((field) => fieldOf(table, field, schema)),
    );
  return result;
}

/** The same storage at the same place: then only the name differs. */
function sameField(a: Field, b: Field): boolean {
  return a.slot === b.slot && a.kind === b.kind && a.type === b.type && a.enum === b.enum;
}

function literal(field: Field): string {
  const parts = Object.entries(field).map(([key, value]) =>
    key === "default" || typeof value !== "string" ? `${key}: ${value}` : `${key}: "${value}"`,
  );
  return `{ ${parts.join(", ")} }`;
}

function memoryType(table: string, field: Field): string {
  const adapted = ADAPTED[table]?.as?.[field.name];
  if (adapted) return adapted;
  if (field.kind === "scalars") return `${VECTORS[field.type]}`;
  if (field.kind === "scalar") return field.enum ?? SCALARS[field.type]!;
  return field.kind === "tables" ? `${field.type}[]` : field.type;
}

function interfaceOf(table: string, fields: Field[], tfliteOnly: Set<Field>): string {
  const adapted = ADAPTED[table];
  let body = "";
  for (const field of fields) {
    if (field.name === adapted?.hide) continue;
    const notes = [
      field.default !== undefined && `default ${field.default}`,
      field.deprecated && "deprecated",
      tfliteOnly.has(field) && "TFLite only",
      field.kind === "scalars" && field.enum,
    ].filter(Boolean);
    if (notes.length > 0) body += `  /** ${notes.join("; ")} */\n`;
    body += `  ${field.name}?: ${memoryType(table, field)};\n`;
  }
  body += adapted?.add ?? "";
  return body ? `export interface ${table} {\n${body}}\n` : `export type ${table} = Record<never, never>;\n`;
}

function tablesLiteral(tables: Map<string, Field[]>): string {
  let text = "";
  for (const [name, fields] of tables)
    text += fields.length ? `  ${name}: [\n    ${fields.map(literal).join(",\n    ")},\n  ],\n` : `  ${name}: [],\n`;
  return `{\n${text}}`;
}

function numbersLiteral(numbers: Iterable<[string, number]>): string {
  return `{ ${[...numbers].map(([name, value]) => `${name}: ${value}`).join(", ")} }`;
}

/** All text of schema.gen.ts. */
export function schemaModule(circle: Declarations, tflite: Declarations): string {
  // TFLite's tables in terms of both files: what tflite.fbs does not redefine is Circle's.
  const both: Declarations = {
    identifier: tflite.identifier,
    enums: new Map([...circle.enums, ...tflite.enums]),
    unions: new Map([...circle.unions, ...tflite.unions]),
    tables: new Map([...circle.tables, ...tflite.tables]),
  };
  const circleTables = fieldsOf(circle);
  const tfliteTables = new Map<string, Field[]>();
  const memoryTables = new Map(circleTables);
  const tfliteOnly = new Set<Field>();
  for (const name of tflite.tables.keys()) {
    const own = circleTables.get(name) ?? [];
    const fields = fieldsOf(both).get(name)!;
    for (const field of fields) {
      const twin = own.find((other) => sameField(other, field));
      if (twin) field.name = twin.name;
      else if (!own.some((other) => other.name === field.name)) tfliteOnly.add(field);
    }
    tfliteTables.set(name, fields);
    memoryTables.set(name, [...own, ...fields.filter((field) => tfliteOnly.has(field))]);
  }

  let text = `// Generated by scripts/generate-schema.ts from schema/*.fbs. Do not edit.\n`;
  text += `import type { Content } from "./bytes.ts";\n\n`;

  for (const [name, { values }] of circle.enums) {
    const memory = new Map(values);
    for (const [member, value] of tflite.enums.get(name)?.values ?? []) {
      if (memory.has(member)) continue;
      if ([...memory.values()].includes(value)) throw new Error(`${name}.${member}: ${value} is taken in Circle`);
      memory.set(member, value);
    }
    text += `export const ${name} = ${numbersLiteral(memory)} as const;\n`;
    text += `export type ${name} = (typeof ${name})[keyof typeof ${name}];\n\n`;
  }
  for (const [name, members] of circle.unions) {
    const names = new Set([...members.keys(), ...(tflite.unions.get(name)?.keys() ?? [])]);
    const options = [...names].map((member) => `  | { type: "${member}"; value: ${member} | null }`);
    text += `export type ${name} =\n  | { type: "NONE"; value: null }\n${options.join("\n")};\n\n`;
  }
  for (const [name, fields] of memoryTables) text += `${interfaceOf(name, fields, tfliteOnly)}\n`;

  text += "/** Every table by its name. */\nexport interface Tables {\n";
  for (const name of memoryTables.keys()) text += `  ${name}: ${name};\n`;
  text += "}\n\n";

  text += `export type Dialect = "circle" | "tflite";

export type ScalarType = ${Object.keys(SCALARS)
    .map((name) => `"${name}"`)
    .join(" | ")};

/** One field of a table: where it is in the file and what it holds. */
export interface FieldSchema {
  /** Name in memory (camelCase, Circle's name). */
  readonly name: string;
  /** Slot in the vtable (the .fbs id). A union's tag is in the slot before. */
  readonly slot: number;
  /** scalars and tables are vectors; content is a byte vector that is not loaded. */
  readonly kind: "scalar" | "scalars" | "string" | "table" | "tables" | "union" | "content";
  /** Scalar type, table name or union name. */
  readonly type: string;
  readonly enum?: string;
  readonly default?: number | boolean | bigint;
  readonly deprecated?: true;
  /** force_align of a vector, bytes. */
  readonly align?: number;
}

/** How a file of one dialect is laid out. */
export interface DialectSchema {
  readonly identifier: string;
  readonly tables: Readonly<Record<string, readonly FieldSchema[]>>;
  /** Union name → table name → tag. */
  readonly unions: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Enum name → member → number in the file. */
  readonly enums: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Every enum as it is in memory. */
export const ENUMS: Readonly<Record<string, Readonly<Record<string, number>>>> = { ${[...circle.enums.keys()].join(", ")} };

`;
  const unionsLiteral = (unions: Declarations["unions"]) =>
    `{\n${[...unions].map(([name, members]) => `  ${name}: ${numbersLiteral(members)},\n`).join("")}}`;
  const enumsLiteral = (enums: Declarations["enums"]) =>
    `{\n${[...enums].map(([name, { values }]) => `  ${name}: ${numbersLiteral(values)},\n`).join("")}}`;
  text += `const circle: DialectSchema = {\nidentifier: "${circle.identifier}",\n`;
  text += `tables: ${tablesLiteral(circleTables)},\nunions: ${unionsLiteral(circle.unions)},\nenums: ${enumsLiteral(circle.enums)},\n};\n\n`;
  text += `const tflite: DialectSchema = {\nidentifier: "${tflite.identifier}",\n`;
  text += `tables: { ...circle.tables, ...${tablesLiteral(tfliteTables)} },\n`;
  text += `unions: { ...circle.unions, ...${unionsLiteral(tflite.unions)} },\n`;
  text += `enums: { ...circle.enums, ...${enumsLiteral(tflite.enums)} },\n};\n\n`;
  text += `export const DIALECTS: Readonly<Record<Dialect, DialectSchema>> = { circle, tflite };

const namesOf = new WeakMap<object, Map<number, string>>();

/** nameOf(TensorType, 0) is "FLOAT32"; a number that the enum does not have gives its digits. */
export function nameOf(values: Readonly<Record<string, number>>, value: number): string {
  let names = namesOf.get(values);
  if (!names) {
    names = new Map(Object.entries(values).map(([name, number]) => [number, name]));
    namesOf.set(values, names);
  }
  return names.get(value) ?? String(value);
}
`;
  return text;
}

/** Reads schema/*.fbs and writes src/model/schema.gen.ts. */
export async function generateSchema(): Promise<void> {
  const read = async (name: string) => parseFbs(await Bun.file(join(root, "schema", name)).text(), name);
  const text = schemaModule(await read("circle.fbs"), await read("tflite.fbs"));
  await mkdir(join(root, "src/model"), { recursive: true });
  await Bun.write(join(root, "src/model/schema.gen.ts"), text);
}

if (import.meta.main) await generateSchema();
