/** Which part of a model samples are for: names of signatures → subgraphs. */
import { closest } from "fastest-levenshtein";
import { UsageError } from "../base/errors.ts";
import { type Model, type Signature, signaturesOf } from "../model/index.ts";
import type { SampleSource } from "./settings.ts";

/** Samples, and the subgraph that they are fed to. */
export interface Fed {
  readonly source: SampleSource;
  readonly subgraph: number;
  /** The signature's name; absent where the model has none for the subgraph. */
  readonly signature?: string;
}

/**
 * The subgraph that each of the sources is for, in the model's order. Throws a UsageError: a name that the model does not have, samples without
 * a name where none is the default, two sources for one signature.
 */
export function fedBy(model: Model, sources: readonly SampleSource[]): Fed[] {
  const all = signaturesOf(model);
  const fed = sources.map((source): Fed => {
    const { signature } = source;
    const { name, subgraph } =
      signature === undefined
        ? defaultPart(model, source.location)
        : signatureNamed(
            model,
            signature,
            dataText(source),
            `; and there is no file "${dataText(source).slice(OPTION.length)}"`,
          );
    return { source, subgraph, ...(name !== undefined && { signature: name }) };
  });
  for (const [i, { subgraph, signature, source }] of fed.entries()) {
    const other = fed.slice(0, i).find((each) => each.subgraph === subgraph && each.signature === signature);
    if (other)
      throw new UsageError(
        `${dataText(other.source)} and ${dataText(source)} are both for the signature "${signature}"; samples without a name are for it too, give one of them`,
      );
  }
  const place = ({ subgraph, signature }: Fed) =>
    all.findIndex((each) => each.subgraph === subgraph && each.name === signature);
  return fed.sort((a, b) => a.subgraph - b.subgraph || place(a) - place(b));
}

/** What is meant where no signature is named: the first one of the first subgraph, or the model's only one. Throws a UsageError where there is none. */
export function defaultPart(model: Model, location: string): { name: string | undefined; subgraph: number } {
  const all = signaturesOf(model);
  const found = all.find(({ subgraph }) => subgraph === 0) ?? (all.length === 1 ? all[0] : undefined);
  if (found) return found;
  if (all.length === 0) return { name: undefined, subgraph: 0 };
  throw new UsageError(
    `--data ${location}: the model has ${all.length} signatures, and none is of its first subgraph, which is the default; say which one the samples are for, as in --data ${all[0]!.name}=${location} (it has ${namesText(all)})`,
  );
}

/** The signature of a name. `by`: how it was asked for; `said`: what else there is to say where it is none. Throws a UsageError where the model has none of that name. */
export function signatureNamed(model: Model, name: string, by: string, said = ""): Signature {
  const all = signaturesOf(model);
  const found = all.find((each) => each.name === name);
  if (found) return found;
  if (all.length === 0)
    throw new UsageError(`${by}: the model has no signatures, and no "${name}"; leave the name out${said}`);
  const near = closest(
    name,
    all.map((each) => each.name),
  );
  throw new UsageError(
    `${by}: the model has no signature "${name}"; did you mean "${near}"? It has ${namesText(all)}${said}`,
  );
}

/** `subgraph 1 "decode" (signature "decode")`. */
export function subgraphTitle(model: Model, subgraph: number): string {
  const { name = "" } = model.subgraphs?.[subgraph] ?? {};
  const own = signaturesOf(model).filter((each) => each.subgraph === subgraph);
  const signatures = own.length > 0 ? ` (${own.length > 1 ? "signatures" : "signature"} ${namesText(own)})` : "";
  return `subgraph ${subgraph}${name && ` "${name}"`}${signatures}`;
}

const OPTION = "--data ";

/** The option as it was given. */
export function dataText({ signature, location }: SampleSource): string {
  return `${OPTION}${signature === undefined ? "" : `${signature}=`}${location}`;
}

function namesText(signatures: readonly Signature[]): string {
  return signatures.map(({ name }) => `"${name}"`).join(", ");
}
