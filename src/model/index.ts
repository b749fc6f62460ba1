/** File ⇄ tables: what the rest of minmaxq uses of a model file. */
import { DIALECTS, type Tables } from "./schema.gen.ts";

export { removeTemporaryFiles } from "../base/temporary.ts";
export type { ByteRange, ByteSource, Content, Deferred } from "./bytes.ts";
export { type ExpectedInput, expectedInputs, type StatedInput, statedInputs } from "./expected-inputs.ts";
export { FLATBUFFER_LIMIT, planContents } from "./layout.ts";
export { operatorName } from "./operator-codes.ts";
export { OutputFile } from "./output-file.ts";
export { type OpenedModel, openModel, readModel } from "./read.ts";
export * from "./schema.gen.ts";
export { type Signature, type SignatureNames, signatureNames, signaturesOf } from "./signatures.ts";
export { calledName, calledSubgraphs, reachableSubgraphs, subgraphCalls } from "./subgraph-calls.ts";
export { byteLength, bytesPerElement, elementCount } from "./tensor-types.ts";
export { operatorTexts, subgraphText, tensorText } from "./text.ts";
export {
  type BegunFile,
  type Fill,
  type FillInto,
  type FillTarget,
  type Placed,
  serializeInto,
  serializeModel,
  sizeOfFile,
  type WriteOptions,
  writeModel,
} from "./write.ts";
export { readZipDirectory } from "./zip.ts";

/** A copy of a table in which absent scalars have the schema's defaults: `withDefaults("Conv2DOptions", {}).strideW` is 0. */
export function withDefaults<K extends keyof Tables>(table: K, value: Tables[K] | null | undefined): Tables[K] {
  const result: Record<string, unknown> = { ...value };
  for (const dialect of [DIALECTS.circle, DIALECTS.tflite]) {
    for (const field of dialect.tables[table] ?? []) {
      if (field.default !== undefined && result[field.name] === undefined) result[field.name] = field.default;
    }
  }
  return result as Tables[K];
}
