/**
 * The metadata entry "min_runtime_version": the least TFLite runtime that knows all operator versions of a model, in 16 bytes of ASCII with
 * zeros behind. Converters write it; no runtime reads it, people and stores do.
 */
import { rangeOf, readRange } from "../model/bytes.ts";
import { BuiltinOperator, type Model, nameOf } from "../model/index.ts";
import { laterRuntime, leastRuntime } from "../rules/versions.ts";

const NAME = "min_runtime_version";
const LENGTH = 16;

/** The model with that entry: made where there is none, raised where it says less than the operators need, never lowered. */
export function withRuntimeVersion(model: Model): Model {
  const needed = runtimeOf(model);
  if (needed === null || needed.length >= LENGTH) return model;
  const entries = model.metadata ?? [];
  const at = entries.findIndex(({ name }) => name === NAME);
  const said = at < 0 ? "" : textOf(model, entries[at]!.buffer ?? 0);
  if (said !== "" && laterRuntime(said, needed) === said) return model;
  const bytes = new Uint8Array(LENGTH);
  bytes.set(new TextEncoder().encode(needed));
  const buffers = [...(model.buffers ?? [{}])];
  const own = at < 0 ? 0 : (entries[at]!.buffer ?? 0);
  const content = { data: rangeOf(bytes) };
  if (isOnlyThere(model, own, at)) {
    buffers[own] = content;
    return { ...model, buffers };
  }
  const entry = { name: NAME, buffer: buffers.push(content) - 1 };
  const metadata = at < 0 ? [...entries, entry] : entries.map((each, index) => (index === at ? entry : each));
  return { ...model, buffers, metadata };
}

/** A buffer that one metadata entry has for itself; 0 is the empty one. */
function isOnlyThere(model: Model, buffer: number, entry: number): boolean {
  if (buffer === 0) return false;
  const tensors = (model.subgraphs ?? []).flatMap((subgraph) => subgraph.tensors ?? []);
  return !(
    tensors.some((tensor) => tensor.buffer === buffer) ||
    model.metadata?.some((each, index) => index !== entry && each.buffer === buffer) ||
    model.metadataBuffer?.includes(buffer)
  );
}

/** The largest of the runtimes that a model's operators need; null where none is known. */
function runtimeOf(model: Model): string | null {
  let latest: string | null = null;
  const used = new Set(
    (model.subgraphs ?? []).flatMap(({ operators = [] }) => operators.map((each) => each.opcodeIndex ?? 0)),
  );
  for (const index of used) {
    const { builtinCode = 0, version = 1 } = model.operatorCodes?.[index] ?? {};
    const runtime = leastRuntime(nameOf(BuiltinOperator, builtinCode), version);
    if (runtime) latest = latest === null ? runtime : laterRuntime(latest, runtime);
  }
  return latest;
}

/** "2.3.0"; "" where the buffer says nothing that is a version. */
function textOf(model: Model, buffer: number): string {
  const data = model.buffers?.[buffer]?.data;
  if (!data || "deferred" in data || data.length > 64) return "";
  const text = new TextDecoder().decode(readRange(data)).replace(/\0.*$/s, "");
  return /^\d+(\.\d+)*$/.test(text) ? text : "";
}
