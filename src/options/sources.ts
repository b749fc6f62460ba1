/**
 * `--data` and `--data-format` for signatures: which samples are for which part of the model.
 *
 *     --data encode=a.npz        samples of the signature "encode"
 *     --data a.npz               samples of the default signature: the one of the first subgraph
 *     --data lr=0.1.npz          a file, if there is one of this name; else samples of the signature "lr"
 *     --data ./lr=0.1.npz        always a file: what stands before "=" has a slash
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import { UsageError } from "../base/errors.ts";
import type { SampleSource } from "../driver/settings.ts";

/** A format for samples: of one signature, or of all that have none of their own. */
export interface SampleFormat {
  readonly signature?: string;
  readonly format: string;
}

/** Where samples are, and the signature that they are for. `folder` is where the path of a file begins. Throws InvalidArgumentError. */
export function sampleSource(text: string, folder = ""): SampleSource {
  const [, signature, location] = /^([^=/\\]+)=(.*)$/s.exec(text) ?? [];
  if (signature === undefined || existsSync(resolve(folder, text))) return { location: text };
  if (location!.trim() === "") throw new InvalidArgumentError("Write SIGNATURE=SAMPLES.");
  return { signature, location: location! };
}

/** The text that `sampleSource` reads. */
export function sourceText({ signature, location }: SampleSource): string {
  return signature === undefined ? location : `${signature}=${location}`;
}

/** `npz`, or `encode=npz`. Throws InvalidArgumentError. */
export function sampleFormat(text: string): SampleFormat {
  const at = text.lastIndexOf("=");
  if (at < 0) return { format: text };
  const [signature, format] = [text.slice(0, at), text.slice(at + 1)];
  if (signature.trim() === "" || format.trim() === "") throw new InvalidArgumentError("Write SIGNATURE=FORMAT.");
  return { signature, format };
}

/** The samples with their formats. Throws a UsageError for two of one signature, and for a format that is for none of them. */
export function sourcesOf({
  data = [],
  dataFormat = [],
}: {
  readonly data?: readonly SampleSource[];
  readonly dataFormat?: readonly SampleFormat[];
}): SampleSource[] {
  refuseTwice(
    "--data",
    data.map(({ signature, location }) => [signature, location]),
    "give one file or folder with all samples",
  );
  refuseTwice(
    "--data-format",
    dataFormat.map(({ signature, format }) => [signature, format]),
    "give one",
  );
  for (const { signature, format } of dataFormat)
    if (signature !== undefined && !data.some((each) => each.signature === signature))
      throw new UsageError(
        `--data-format ${signature}=${format}: there is no --data ${signature}=…; give its samples, or the format alone, which is for all`,
      );
  return withFormats(data, dataFormat);
}

/** Each of the samples with its own format, or the one for all, where there is one. */
export function withFormats(data: readonly SampleSource[], formats: readonly SampleFormat[]): SampleSource[] {
  return data.map((source) => {
    const of = (name: string | undefined) => formats.find(({ signature }) => signature === name)?.format;
    const format = of(source.signature) ?? of(undefined);
    return { ...source, ...(format !== undefined && { format }) };
  });
}

/** Made-up samples are a word, no path. */
export function isMadeUp({ location, format = "random" }: SampleSource): boolean {
  return format === "random" && /^random(:|$)/.test(location);
}

function refuseTwice(option: string, given: readonly (readonly [string | undefined, string])[], remedy: string): void {
  for (const [i, [signature, value]] of given.entries()) {
    const before = given.slice(0, i).find(([other]) => other === signature);
    if (!before) continue;
    const [what, how] =
      signature === undefined
        ? ["without a signature's name", `${remedy}, or say SIGNATURE= before each`]
        : [`for the signature "${signature}"`, remedy];
    throw new UsageError(`${option}: "${before[1]}" and "${value}" are both ${what}; ${how}`);
  }
}
