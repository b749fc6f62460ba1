/** The JSON file of layer settings (§5.8): checked by zod, errors name the place inside the file. */
import { existsSync } from "node:fs";
import { z } from "zod";
import { FileError, Problems } from "../base/errors.ts";
import { readJson } from "../base/read-text.ts";
import type { LayerSetting } from "../passes/context.ts";
import { DEFAULT_SCHEME, type Granularity, type Scheme, schemeNamed, weightSchemeNamed } from "../rules/schemes.ts";
import { KEEP_FLOAT, LAYER_WORDS } from "./layer-words.ts";
import type { LayerEntry } from "./layers.ts";

/** A word in any case, as the reference reads it. */
const word = <T extends string>(...choices: readonly [T, ...T[]]) =>
  z.preprocess(
    (value) => (typeof value === "string" ? value.toLowerCase() : value),
    z.enum([...choices] as [T, ...T[]]),
  );

const dtype = word(...LAYER_WORDS).describe(
  "scheme of the layer (for ONE's, its dtype), or float32: it stays float; a scheme of weights alone where the model has one",
);
const modelDtype = word("uint8", "int16");
const granularity = word("layer", "channel").describe(
  "scales of weights: channel (per channel) or layer (one per tensor); the model's where it is left out (ONE's tools want it)",
);
const name = z.string().min(1).describe("name of the tensor that the layer yields");

const layer = z.object({
  name: name.optional(),
  names: z.array(name).optional(),
  dtype,
  granularity: granularity.optional(),
  alternate: z
    .record(z.string(), z.array(name))
    .optional()
    .describe("further lists of names; exactly one list of the whole file must fit the model"),
});

/** The file's shape; the JSON Schema for editors is made from it (scripts/generate-config-schema.ts). */
export const CONFIG = z.object({
  layers: z.array(layer).describe("layers with settings of their own"),
  default_quantization_dtype: modelDtype.optional().describe("for tools that choose the model's dtype"),
  default_granularity: granularity.optional().describe("for tools that choose the model's granularity"),
  model_path: z.string().optional().describe("where the settings come from; not used"),
});

/**
 * Reads a file of layer settings: the first list, and one for each alternate (§2.3). A granularity that is left out is the model's; with
 * `likeReference` it must be there, as in ONE (§5.8). Throws a MinmaxqError.
 */
export function readConfig(path: string, model: LayerSetting = DEFAULT_SCHEME, likeReference = false): LayerEntry[][] {
  if (!existsSync(path))
    throw new FileError(path, "there is no such file; give a JSON file of layer settings", { code: "no-such-file" });
  const parsed = CONFIG.safeParse(readJson(path));
  if (!parsed.success) {
    const problems = new Problems(path);
    for (const issue of parsed.error.issues) problems.add(`${path}: ${placeOf(issue.path)}: ${issue.message}`);
    problems.throwIfAny(`${path}: is no valid file of layer settings`);
  }
  if (likeReference) refuseWithoutGranularity(path, parsed.data!);
  return listsOf(parsed.data!, model);
}

function refuseWithoutGranularity(path: string, { layers }: z.infer<typeof CONFIG>): void {
  const problems = new Problems(path);
  for (const [i, { granularity }] of layers.entries())
    if (granularity === undefined)
      problems.add(`${path}: layers[${i}].granularity: is missing; write layer or channel, as ONE's tools want it`);
  problems.throwIfAny(`${path}: is no valid file of layer settings`);
}

/** The model's granularity, unless the layer's scheme does not have it. */
function granularityFor(scheme: Scheme, model: LayerSetting): Granularity {
  return scheme.granularities.includes(model.granularity) ? model.granularity : scheme.granularities[0]!;
}

function settingOf(word: string, granularity: Granularity | undefined, model: LayerSetting): LayerSetting {
  if (word === KEEP_FLOAT) return { ...model, float: true };
  const weights = weightSchemeNamed(word);
  if (weights) return { ...model, weights };
  const scheme = schemeNamed(word);
  return { scheme, granularity: granularity ?? granularityFor(scheme, model) };
}

function listsOf(config: z.infer<typeof CONFIG>, model: LayerSetting): LayerEntry[][] {
  const first: LayerEntry[] = [];
  const alternates: LayerEntry[][] = [];
  for (const { name, names, dtype, granularity, alternate } of config.layers) {
    const setting = settingOf(dtype, granularity, model);
    const all = [...(name === undefined ? [] : [name]), ...(names ?? [])];
    if (all.length > 0) first.push({ names: all, ...setting });
    for (const others of Object.values(alternate ?? {})) alternates.push([{ names: others, ...setting }]);
  }
  return [first, ...alternates];
}

/** `layers[2].names[0]`. */
function placeOf(path: readonly PropertyKey[]): string {
  const text = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  return text.replace(/^\./, "") || "the file";
}
