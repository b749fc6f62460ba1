/**
 * The metadata of a model, entry TFLITE_METADATA: a FlatBuffer of its own. Source: TensorFlow Lite's metadata_schema.fbs (identifier M001), of
 * which only these tables are described here.
 */
import { isDeferred, MemoryBytes, readRange } from "./bytes.ts";
import { readTables } from "./read.ts";
import type { DialectSchema, FieldSchema, Model } from "./schema.gen.ts";

export interface TensorMetadata {
  readonly content?: {
    readonly properties?: { readonly type: string; readonly value: { sampleRate?: number; channels?: number } | null };
  };
  readonly processUnits?: readonly {
    readonly options?: { readonly type: string; readonly value: ProcessOptions | null };
  }[];
  readonly stats?: { readonly max?: Float32Array; readonly min?: Float32Array };
  readonly associatedFiles?: readonly FileMetadata[];
}

interface ProcessOptions {
  readonly mean?: Float32Array;
  readonly std?: Float32Array;
  readonly sentencePieceModel?: readonly FileMetadata[];
  readonly vocabFile?: readonly FileMetadata[];
}

/** A file of the archive behind the model. */
export interface FileMetadata {
  readonly name?: string;
  /** AssociatedFileType: FILE_TYPES. */
  readonly type?: number;
  readonly locale?: string;
}

export interface Metadata {
  readonly subgraphMetadata?: readonly {
    readonly inputTensorMetadata?: readonly TensorMetadata[];
    readonly outputTensorMetadata?: readonly TensorMetadata[];
  }[];
}

const tables = (name: string, slot: number, type: string): FieldSchema => ({ name, slot, kind: "tables", type });
const floats = (name: string, slot: number): FieldSchema => ({ name, slot, kind: "scalars", type: "float" });
const files = (name: string, slot: number) => tables(name, slot, "AssociatedFile");

const SCHEMA: DialectSchema = {
  identifier: "M001",
  tables: {
    ModelMetadata: [tables("subgraphMetadata", 3, "SubGraphMetadata")],
    SubGraphMetadata: [
      tables("inputTensorMetadata", 2, "TensorMetadata"),
      tables("outputTensorMetadata", 3, "TensorMetadata"),
    ],
    TensorMetadata: [
      { name: "content", slot: 3, kind: "table", type: "Content" },
      tables("processUnits", 4, "ProcessUnit"),
      { name: "stats", slot: 5, kind: "table", type: "Stats" },
      files("associatedFiles", 6),
    ],
    AssociatedFile: [
      { name: "name", slot: 0, kind: "string", type: "string" },
      { name: "type", slot: 2, kind: "scalar", type: "byte" },
      { name: "locale", slot: 3, kind: "string", type: "string" },
    ],
    Content: [{ name: "properties", slot: 1, kind: "union", type: "ContentProperties" }],
    AudioProperties: [
      { name: "sampleRate", slot: 0, kind: "scalar", type: "uint" },
      { name: "channels", slot: 1, kind: "scalar", type: "uint" },
    ],
    ProcessUnit: [{ name: "options", slot: 1, kind: "union", type: "ProcessUnitOptions" }],
    NormalizationOptions: [floats("mean", 0), floats("std", 1)],
    BertTokenizerOptions: [files("vocabFile", 0)],
    SentencePieceTokenizerOptions: [files("sentencePieceModel", 0), files("vocabFile", 1)],
    RegexTokenizerOptions: [files("vocabFile", 1)],
    Stats: [floats("max", 0), floats("min", 1)],
  },
  unions: {
    ProcessUnitOptions: {
      NormalizationOptions: 1,
      BertTokenizerOptions: 4,
      SentencePieceTokenizerOptions: 5,
      RegexTokenizerOptions: 6,
    },
    ContentProperties: { AudioProperties: 4 },
  },
  enums: {},
};

/** Name of the entry. */
export const METADATA = "TFLITE_METADATA";

/** What the metadata say; empty where there are none, or none that can be read. */
export function metadataOf({ metadata, buffers }: Model): Metadata {
  const entry = metadata?.find(({ name }) => name === METADATA);
  const data = buffers?.[entry?.buffer ?? 0]?.data;
  if (!entry || !data || isDeferred(data) || data.length === 0) return {};
  try {
    return readTables(new MemoryBytes(readRange(data)), SCHEMA, "ModelMetadata") as Metadata;
  } catch {
    // Hints for people: damage there does not hinder the model.
    return {};
  }
}
