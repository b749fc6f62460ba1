/**
 * The associated files of a model's inputs and outputs: what its metadata name, in the archive behind it. Labels of an axis belong to the
 * elements of an output, labels of values to the numbers in it (class numbers).
 */
import { inflateSync } from "fflate";
import type { ByteSource } from "./bytes.ts";
import { type FileMetadata, metadataOf, type TensorMetadata } from "./metadata.ts";
import type { OpenedModel } from "./read.ts";
import type { Tensor } from "./schema.gen.ts";
import { readZipDirectory, type ZipEntry } from "./zip.ts";

/** AssociatedFileType of metadata_schema.fbs, in its order. */
export const FILE_TYPES = [
  "unknown",
  "description",
  "axis labels",
  "value labels",
  "score calibration",
  "vocabulary",
  "index",
] as const;
export type FileType = (typeof FILE_TYPES)[number];
/** Of which a line is an entry. */
const LISTS: ReadonlySet<FileType> = new Set(["axis labels", "value labels", "vocabulary"]);

export interface AssociatedFile {
  readonly name: string;
  readonly type: FileType;
  /** Language of labels; absent: none is said. */
  readonly locale?: string;
  /** False: the metadata name it, and the archive does not have it. */
  readonly present: boolean;
  /** Lines of a list: how many, and the first ones. Absent where it is no list or cannot be read. */
  readonly lines?: { readonly count: number; readonly first: readonly string[] };
}

export interface TensorFiles {
  readonly subgraph: number;
  readonly what: "input" | "output";
  /** Number of the tensor in its subgraph. */
  readonly tensor: number;
  readonly files: readonly AssociatedFile[];
}

/** A label file that contradicts its output, or is not there. */
export interface FileProblem {
  readonly code: "labels-contradict-output" | "associated-file-missing";
  readonly subgraph: number;
  readonly tensor: number;
  /** What is the matter and what to do, said behind the tensor's name. */
  readonly text: string;
  readonly numbers: Readonly<Record<string, number>>;
}

/** Lines that are told of a list. */
const FIRST = 5;
/** Bytes of a list that is read; class names take some kilobytes. */
const LARGEST = 16 << 20;

/** Inputs and outputs that have associated files, in the order of the model. */
export function associatedFiles({ model, archive }: OpenedModel): TensorFiles[] {
  const said = metadataOf(model).subgraphMetadata ?? [];
  const directory = archive && readZipDirectory(archive.source);
  const entries = new Map(
    directory && typeof directory !== "string" ? directory.entries.map((entry) => [entry.name, entry]) : [],
  );
  return (model.subgraphs ?? []).flatMap((graph, subgraph) => {
    const of = (what: "input" | "output", tensors: Int32Array | undefined, all: readonly TensorMetadata[] = []) =>
      Array.from(tensors ?? []).flatMap((tensor, i): TensorFiles[] => {
        const files = namedIn(all[i] ?? {}).map((file) => associated(file, entries, archive?.source));
        return files.length > 0 ? [{ subgraph, what, tensor, files }] : [];
      });
    return [
      ...of("input", graph.inputs, said[subgraph]?.inputTensorMetadata),
      ...of("output", graph.outputs, said[subgraph]?.outputTensorMetadata),
    ];
  });
}

/** Files that a tensor's metadata name, also those of its tokenizer; each once. */
function namedIn({ associatedFiles = [], processUnits = [] }: TensorMetadata): FileMetadata[] {
  const options = processUnits.map((unit) => unit.options?.value);
  const all = [
    ...associatedFiles,
    ...options.flatMap((each) => [...(each?.sentencePieceModel ?? []), ...(each?.vocabFile ?? [])]),
  ];
  return [...new Map(all.map((file) => [file.name ?? "", file])).values()];
}

function associated(
  { name = "", type = 0, locale }: FileMetadata,
  entries: ReadonlyMap<string, ZipEntry>,
  source: ByteSource | undefined,
): AssociatedFile {
  const kind = FILE_TYPES[type] ?? "unknown";
  const entry = entries.get(name);
  const lines = entry && source && LISTS.has(kind) ? linesOf(source, entry) : undefined;
  return {
    name,
    type: kind,
    ...(locale && { locale }),
    present: entry !== undefined,
    ...(lines && { lines: { count: lines.length, first: lines.slice(0, FIRST) } }),
  };
}

/** The lines of an entry, the empty ones at its end left out; undefined where it cannot be read. */
function linesOf(
  source: ByteSource,
  { method, encrypted, size, packedSize, headerOffset }: ZipEntry,
): string[] | undefined {
  if (encrypted || size > LARGEST || packedSize > LARGEST || (method !== 0 && method !== 8)) return undefined;
  try {
    const header = new Uint8Array(30);
    source.readInto(header, headerOffset);
    const view = new DataView(header.buffer);
    const from = headerOffset + 30 + view.getUint16(26, true) + view.getUint16(28, true);
    const packed = new Uint8Array(packedSize);
    source.readInto(packed, from);
    const bytes = method === 0 ? packed : inflateSync(packed, { out: new Uint8Array(size) });
    return new TextDecoder().decode(bytes).trimEnd().split(/\r?\n/);
  } catch {
    // A hint for people: damage there does not hinder the model.
    return undefined;
  }
}

/** Label files that cannot be right, each with its tensor. */
export function fileProblems({ model }: OpenedModel, all: readonly TensorFiles[]): FileProblem[] {
  return all.flatMap(({ subgraph, tensor, files }) => {
    const table = model.subgraphs![subgraph]!.tensors![tensor]!;
    return files.flatMap(({ name, type, present, lines }): FileProblem[] => {
      const at = { subgraph, tensor };
      if (!present)
        return [
          {
            ...at,
            code: "associated-file-missing",
            text: `its metadata name the file "${name}" (${type}), which is not in the archive behind the model; write the archive again`,
            numbers: {},
          },
        ];
      if (type !== "axis labels" || !lines || fits(lines.count, table)) return [];
      return [
        {
          ...at,
          code: "labels-contradict-output",
          text: `"${name}" has ${lines.count} labels, and no dimension of [${shapeOf(table).join(", ")}] has that size; results read by it get wrong names. The metadata list the outputs in another order than the model, or these are not the labels that it was trained with`,
          numbers: { labels: lines.count },
        },
      ];
    });
  });
}

function shapeOf({ shape = new Int32Array(), shapeSignature }: Tensor): number[] {
  return Array.from(shapeSignature?.length === shape.length ? shapeSignature : shape);
}

/** Whether an axis has as many elements as there are labels, or a size that is open. */
function fits(count: number, tensor: Tensor): boolean {
  const shape = shapeOf(tensor);
  // One score that says which of two.
  if (count === 2 && shape.every((dim) => dim === 1)) return true;
  // The first one is the batch, whatever its size.
  return shape.some((dim, axis) => dim === count || (dim < 0 && (axis > 0 || shape.length === 1)));
}
