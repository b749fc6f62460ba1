/**
 * What differs between two model files: structure, parameters, values. Tensors belong together by their names, operators by the name of their
 * first result; a second tensor of a name is `name #2`.
 */

import { isDeferred, readRange } from "../model/bytes.ts";
import type { Content, Model, OpenedModel, Operator, SubGraph, Tensor } from "../model/index.ts";
import { operatorText, shortNumber } from "../model/text.ts";
import { dtypeOf, tensorFacts } from "./facts.ts";
import { byUniqueName } from "./tensor.ts";
import { isReadable, pieces } from "./values.ts";

/** Its shape is versioned as that of the Report. */
export interface DiffReport {
  readonly reportVersion: 1;
  readonly first: string;
  readonly second: string;
  readonly equal: boolean;
  readonly structure: readonly Difference[];
  readonly parameters: readonly Difference[];
  readonly values: readonly Difference[];
}

export interface Difference {
  readonly change: "added" | "removed" | "changed";
  readonly what:
    | "file"
    | "subgraph"
    | "inputs"
    | "outputs"
    | "tensor"
    | "operator"
    | "order"
    | "signature"
    | "metadata";
  /** Absent for the file as a whole. */
  readonly subgraph?: number;
  readonly name: string;
  /** What of it, where it is there in both: "dtype", "scale" … */
  readonly field?: string;
  /** In the first and in the second file, as text. */
  readonly before?: string;
  readonly after?: string;
  /** Of values: how many elements differ, and by how much at most; in dB, where floats are rounded. */
  readonly elements?: number;
  readonly largest?: number;
  readonly sqnr?: number;
}

/** Compares two opened models; their contents are read piece by piece. */
export function diffReport(paths: readonly [string, string], [a, b]: readonly [OpenedModel, OpenedModel]): DiffReport {
  const structure: Difference[] = [...fileDifferences(a, b)];
  const parameters: Difference[] = [];
  const values: Difference[] = [];
  const graphs = [a.model.subgraphs ?? [], b.model.subgraphs ?? []] as const;
  for (let index = 0; index < Math.max(graphs[0].length, graphs[1].length); index++) {
    const [first, second] = [graphs[0][index], graphs[1][index]];
    if (!first || !second) {
      const { name = "" } = (first ?? second)!;
      structure.push({ change: first ? "removed" : "added", what: "subgraph", subgraph: index, name });
      continue;
    }
    structure.push(
      ...endDifferences(first, second, index),
      ...operatorDifferences([a.model, b.model], first, second, index),
    );
    const names = [byUniqueName(a.model, index), byUniqueName(b.model, index)] as const;
    structure.push(...namesApart(names, [first, second], index));
    for (const [name, at] of names[0]) {
      const other = names[1].get(name);
      if (other === undefined) continue;
      const tensors = [first.tensors![at]!, second.tensors![other]!] as const;
      const subject = { what: "tensor", subgraph: index, name } as const;
      structure.push(...tensorDifferences([a.model, b.model], tensors, subject));
      parameters.push(...parameterDifferences([a.model, b.model], tensors, subject));
      const difference = valueDifference([contentOf(a.model, tensors[0]), contentOf(b.model, tensors[1])], tensors);
      if (difference) values.push({ change: "changed", ...subject, ...difference });
    }
  }
  const equal = structure.length + parameters.length + values.length === 0;
  return { reportVersion: 1, first: paths[0], second: paths[1], equal, structure, parameters, values };
}

type Subject = Pick<Difference, "what" | "subgraph" | "name">;

function changed(subject: Subject, field: string, before: string, after: string): Difference[] {
  return before === after ? [] : [{ change: "changed", ...subject, field, before, after }];
}

/** Names that one of two lists has alone. */
function apart(what: Difference["what"], before: readonly string[], after: readonly string[]): Difference[] {
  return [
    ...before.filter((name) => !after.includes(name)).map((name): Difference => ({ change: "removed", what, name })),
    ...after.filter((name) => !before.includes(name)).map((name): Difference => ({ change: "added", what, name })),
  ];
}

function fileDifferences(a: OpenedModel, b: OpenedModel): Difference[] {
  const file: Subject = { what: "file", name: "" };
  const names = ({ model }: OpenedModel) => (model.metadata ?? []).map(({ name = "" }) => name);
  const signatures = ({ model }: OpenedModel) =>
    (model.signatureDefs ?? []).map(({ signatureKey = "" }) => signatureKey);
  const content = ({ model }: OpenedModel, name: string) => {
    const entry = model.metadata!.find((each) => (each.name ?? "") === name)!;
    return model.buffers?.[entry.buffer ?? 0]?.data;
  };
  const both = names(a).filter((name) => names(b).includes(name));
  return [
    ...changed(file, "format", a.dialect, b.dialect),
    ...changed(file, "description", a.model.description ?? "", b.model.description ?? ""),
    ...apart("signature", signatures(a), signatures(b)),
    ...apart("metadata", names(a), names(b)),
    ...both
      .filter((name) => !sameBytes(content(a, name), content(b, name)))
      .map((name): Difference => ({ change: "changed", what: "metadata", name, field: "content" })),
  ];
}

function endDifferences(a: SubGraph, b: SubGraph, subgraph: number): Difference[] {
  const namesAt = ({ tensors = [] }: SubGraph, indices: Int32Array | undefined) =>
    Array.from(indices ?? [], (at) => tensors[at]?.name ?? "").join(", ");
  return [
    ...changed({ what: "subgraph", subgraph, name: b.name ?? "" }, "name", a.name ?? "", b.name ?? ""),
    ...changed({ what: "inputs", subgraph, name: "" }, "names", namesAt(a, a.inputs), namesAt(b, b.inputs)),
    ...changed({ what: "outputs", subgraph, name: "" }, "names", namesAt(a, a.outputs), namesAt(b, b.outputs)),
  ];
}

/** Operators by the name of their first result. */
function operatorsOf({ operators = [], tensors = [] }: SubGraph): Map<string, Operator> {
  const found = new Map<string, Operator>();
  for (const operator of operators) {
    const result = operator.outputs?.find((at) => at >= 0);
    const name = result === undefined ? "" : (tensors[result]?.name ?? "");
    let key = name;
    for (let again = 2; found.has(key); again++) key = `${name} #${again}`;
    found.set(key, operator);
  }
  return found;
}

function operatorDifferences(
  models: readonly [Model, Model],
  a: SubGraph,
  b: SubGraph,
  subgraph: number,
): Difference[] {
  const [before, after] = [operatorsOf(a), operatorsOf(b)];
  const found: Difference[] = [];
  const version = (model: Model, { opcodeIndex = 0 }: Operator) =>
    String(model.operatorCodes?.[opcodeIndex]?.version ?? 1);
  for (const [name, operator] of before) {
    const subject = { what: "operator", subgraph, name } as const;
    const text = operatorText(models[0], a, operator);
    const other = after.get(name);
    if (!other) {
      found.push({ change: "removed", ...subject, before: text });
      continue;
    }
    found.push(...changed(subject, "operator", text, operatorText(models[1], b, other)));
    found.push(...changed(subject, "version", version(models[0], operator), version(models[1], other)));
    const custom = (each: Operator) => Buffer.from((each.customOptions ?? []) as Uint8Array).toString("hex");
    if (custom(operator) !== custom(other)) found.push({ change: "changed", ...subject, field: "custom options" });
  }
  for (const [name, operator] of after)
    if (!before.has(name))
      found.push({ change: "added", what: "operator", subgraph, name, after: operatorText(models[1], b, operator) });
  const order = (own: ReadonlyMap<string, unknown>, others: ReadonlyMap<string, unknown>) =>
    [...own.keys()].filter((name) => others.has(name)).join("\n");
  if (order(before, after) !== order(after, before))
    found.push({ change: "changed", what: "order", subgraph, name: "operators" });
  return found;
}

function namesApart(
  [before, after]: readonly [ReadonlyMap<string, number>, ReadonlyMap<string, number>],
  [a, b]: readonly [SubGraph, SubGraph],
  subgraph: number,
): Difference[] {
  const found: Difference[] = [];
  for (const [name, at] of before)
    if (!after.has(name))
      found.push({ change: "removed", what: "tensor", subgraph, name, before: typeText(a.tensors![at]!) });
  for (const [name, at] of after)
    if (!before.has(name))
      found.push({ change: "added", what: "tensor", subgraph, name, after: typeText(b.tensors![at]!) });
  return found;
}

function typeText(tensor: Tensor): string {
  return `${dtypeOf(tensor)}[${[...(tensor.shape ?? [])]}]`;
}

function tensorDifferences(
  models: readonly [Model, Model],
  tensors: readonly [Tensor, Tensor],
  subject: Subject,
): Difference[] {
  const kind = (at: 0 | 1) =>
    tensorFacts(models[at], tensors[at]).constant ? "constant" : tensors[at].isVariable ? "variable" : "computed";
  const open = ({ shapeSignature }: Tensor) => (shapeSignature ? `[${[...shapeSignature]}]` : "");
  return [
    ...changed(subject, "type", typeText(tensors[0]), typeText(tensors[1])),
    ...changed(subject, "kind", kind(0), kind(1)),
    ...changed(subject, "open sizes", open(tensors[0]), open(tensors[1])),
  ];
}

function parameterDifferences(
  models: readonly [Model, Model],
  tensors: readonly [Tensor, Tensor],
  subject: Subject,
): Difference[] {
  const [a, b] = [tensorFacts(models[0], tensors[0]), tensorFacts(models[1], tensors[1])];
  const list = (values: readonly number[] | undefined, other: readonly number[] | undefined): string => {
    if (!values) return "none";
    if (values.length === 1) return exact(values[0]!);
    const count = other?.length === values.length ? values.filter((value, i) => value !== other[i]).length : 0;
    return `${values.length} values${count > 0 ? `, ${count} of them other ones` : ""}`;
  };
  const field = (name: string, of: (facts: typeof a) => readonly number[] | undefined): Difference[] => {
    const [before, after] = [of(a), of(b)];
    if (JSON.stringify(before) === JSON.stringify(after)) return [];
    return [
      { change: "changed", ...subject, field: name, before: list(before, undefined), after: list(after, before) },
    ];
  };
  return [
    ...field("scale", ({ scale }) => scale),
    ...field("zero point", ({ zeroPoint }) => zeroPoint),
    ...field("axis", ({ axis }) => (axis === undefined ? undefined : [axis])),
    ...field("least recorded", ({ min }) => min),
    ...field("largest recorded", ({ max }) => max),
  ];
}

/** Nine digits tell every float32 from its neighbours. */
function exact(value: number): string {
  const short = shortNumber(value);
  return Math.fround(Number(short)) === value ? short : String(Number(value.toPrecision(9)));
}

function contentOf(model: Model, { buffer = 0 }: Tensor): Content | undefined {
  return model.buffers?.[buffer]?.data;
}

/** How far the values of two constants are apart, as floats where they stand for some; undefined where they are the same. */
function valueDifference(
  [a, b]: readonly [Content | undefined, Content | undefined],
  tensors: readonly [Tensor, Tensor],
): Pick<Difference, "elements" | "largest" | "sqnr" | "field"> | undefined {
  if (!a?.length || !b?.length) return undefined;
  const sameType = typeText(tensors[0]) === typeText(tensors[1]);
  const equal = sameBytes(a, b);
  const parameters = ({ quantization: q }: Tensor) => [
    [...(q?.scale ?? [])],
    [...(q?.zeroPoint ?? [])].map(String),
    q?.quantizedDimension,
  ];
  if (equal && sameType && JSON.stringify(parameters(tensors[0])) === JSON.stringify(parameters(tensors[1])))
    return undefined;
  const shapes = tensors.map(({ shape }) => [...(shape ?? [])].join());
  const readable = isReadable(tensors[0], a) && isReadable(tensors[1], b) && shapes[0] === shapes[1];
  if (!readable) return equal ? undefined : { field: "bytes" };
  let [elements, largest, signal, noise] = [0, 0, 0, 0];
  const others = pieces(tensors[1], b)!;
  for (const values of pieces(tensors[0], a)!) {
    const second = others.next().value as Float64Array;
    for (let i = 0; i < values.length; i++) {
      const [x, y] = [values[i]!, second[i]!];
      signal += x * x;
      if (x === y || (Number.isNaN(x) && Number.isNaN(y))) continue;
      elements++;
      noise += (x - y) ** 2;
      const apart = Math.abs(x - y);
      if (!(apart <= largest)) largest = apart;
    }
  }
  if (elements === 0) return equal ? undefined : { field: "bytes" };
  return { field: "values", elements, largest, sqnr: 10 * Math.log10(signal / noise) };
}

const CHUNK = 1 << 22;

function sameBytes(a: Content | undefined, b: Content | undefined): boolean {
  if (!a || !b || isDeferred(a) || isDeferred(b)) return a === b;
  if (a.length !== b.length) return false;
  for (let from = 0; from < a.length; from += CHUNK) {
    const length = Math.min(CHUNK, a.length - from);
    const [first, second] = [a, b].map((range) => readRange({ ...range, offset: range.offset + from, length }));
    if (Buffer.compare(first!, second!) !== 0) return false;
  }
  return true;
}
