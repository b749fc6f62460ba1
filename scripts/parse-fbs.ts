/**
 * A parser for the subset of FlatBuffers' schema language that schema/*.fbs is written in: enum, union, table with
 * explicit ids, defaults, deprecated and force_align. Anything else is an error with its line.
 */

export interface FieldDeclaration {
  name: string;
  /** "int", "[float]", "Tensor", "[Tensor]", "string" … */
  type: string;
  id: number;
  default?: string;
  deprecated: boolean;
  align?: number;
}

export interface Declarations {
  identifier: string;
  /** Members of all three in the order of their numbers. */
  enums: Map<string, { base: string; values: Map<string, number> }>;
  /** Without the implicit NONE = 0. */
  unions: Map<string, Map<string, number>>;
  tables: Map<string, FieldDeclaration[]>;
}

/** Parses one file; `name` is for messages. Throws an Error with the line for anything outside the subset. */
export function parseFbs(text: string, name: string): Declarations {
  const result: Declarations = { identifier: "", enums: new Map(), unions: new Map(), tables: new Map() };
  let members: ((line: string) => void) | undefined;
  let lineNumber = 0;
  const fail = (line: string): never => {
    throw new Error(`${name}:${lineNumber}: not understood: ${line}`);
  };
  const numbered = (into: Map<string, number>) => (line: string) => {
    const [, member, value] = /^(\w+) = (-?\d+),$/.exec(line) ?? fail(line);
    into.set(member!, Number(value));
  };

  for (const raw of text.split("\n")) {
    lineNumber++;
    const line = raw.replace(/\/\/.*/, "").trim();
    if (line === "" || /^(namespace|file_extension|root_type) /.test(line)) continue;
    if (line === "}") {
      members = undefined;
    } else if (members) {
      members(line);
    } else if (line.startsWith("file_identifier")) {
      result.identifier = /"(....)"/.exec(line)?.[1] ?? fail(line);
    } else if (line.startsWith("enum ")) {
      const [, owner, base] = /^enum (\w+) : (\w+) \{$/.exec(line) ?? fail(line);
      const values = new Map<string, number>();
      result.enums.set(owner!, { base: base!, values });
      members = numbered(values);
    } else if (line.startsWith("union ")) {
      const [, owner] = /^union (\w+) \{$/.exec(line) ?? fail(line);
      const values = new Map<string, number>();
      result.unions.set(owner!, values);
      members = numbered(values);
    } else if (line.startsWith("table ")) {
      const [, owner] = /^table (\w+) \{$/.exec(line) ?? fail(line);
      const fields: FieldDeclaration[] = [];
      result.tables.set(owner!, fields);
      members = (line) => fields.push(parseField(line) ?? fail(line));
    } else fail(line);
  }
  return result;
}

/** `name: type = default (id: 3, deprecated, force_align: 16);` */
function parseField(line: string): FieldDeclaration | undefined {
  const [, name, type, value, attributes] = /^(\w+): (\[?\w+\]?)(?: = (\S+))? \((.*)\);$/.exec(line) ?? [];
  const id = /\bid: (\d+)/.exec(attributes ?? "")?.[1];
  if (!name || !type || !id) return undefined;
  const align = /\bforce_align: (\d+)/.exec(attributes!)?.[1];
  return {
    name,
    type,
    id: Number(id),
    ...(value !== undefined && { default: value }),
    deprecated: /\bdeprecated\b/.test(attributes!),
    ...(align && { align: Number(align) }),
  };
}
