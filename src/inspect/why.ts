/** What `quantize --explain` wrote, read again: how a tensor came to its parameters, link by link. */
import { FileError } from "../base/errors.ts";
import { readJson } from "../base/read-text.ts";
import type { Place } from "./tensor.ts";

export interface Why {
  /** What it was given first, and what replaced that: phrases. */
  readonly chain?: readonly string[];
  readonly range?: { readonly min: readonly number[]; readonly max: readonly number[] };
  readonly scale?: readonly number[];
  /** Why it stayed float. */
  readonly float?: { readonly code: string; readonly because: string };
}

interface Entry {
  readonly name: string;
  readonly chain?: readonly string[];
  readonly range?: Why["range"];
  readonly scale?: readonly number[];
  readonly code?: string;
  readonly because?: string;
}
interface Explained {
  readonly tensors: readonly Entry[];
  readonly float: readonly Entry[];
}

/** What the file says of a tensor; undefined for nothing. Throws a FileError for files that are no explanation. */
export function whyOf(path: string, name: string, { subgraph }: Place): Why | undefined {
  const graphs = read(path);
  // Subgraphs without anything quantized are left out of it, so a number is no sure key.
  const order = [graphs[subgraph], ...graphs].filter((graph) => graph !== undefined);
  for (const { tensors, float } of order) {
    const found = tensors.find((entry) => entry.name === name);
    if (found) return { chain: found.chain, range: found.range, scale: found.scale };
    const left = float.find((entry) => entry.name === name);
    if (left) return { float: { code: left.code ?? "", because: left.because ?? "" }, range: left.range };
  }
  return undefined;
}

function read(path: string): Explained[] {
  const content = readJson(path, { most: 1024, remedy: "give what 'quantize --explain' wrote" });
  const isEntry = (each: unknown) => typeof (each as Entry | null)?.name === "string";
  const isList = (list: unknown) => Array.isArray(list) && list.every(isEntry);
  const isGraph = (each: unknown) => isList((each as Explained | null)?.tensors) && isList((each as Explained).float);
  if (!Array.isArray(content) || !content.every(isGraph))
    throw new FileError(path, "is no explanation of tensors; give what 'quantize --explain' wrote");
  return content as Explained[];
}
