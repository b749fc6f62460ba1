/**
 * What a model says about the values that its inputs expect: a recorded range, or its metadata (metadata.ts).
 *
 *     NormalizationOptions { mean: [127.5], std: [127.5] }  →  pictures of 0…255 become −1…1
 *     Stats { min: [0], max: [1] }                          →  0…1, where there is no normalization
 */
import { metadataOf, type TensorMetadata } from "./metadata.ts";
import type { Model, Tensor } from "./schema.gen.ts";

export interface ExpectedInput {
  readonly min: number;
  readonly max: number;
  /** Where it is said, in words. */
  readonly by: string;
  /** It is what samples were once, no rule for others. */
  readonly recorded?: true;
}

/** What a model says of an input, as data: how pictures become its values, which sounds it wants, what its integers stand for. */
export interface StatedInput {
  /** (byte − mean) / std: one mean and one std, or one of each per channel. */
  readonly normalization?: { readonly mean: readonly number[]; readonly std: readonly number[] };
  /** The least and the largest value, where there is no normalization. */
  readonly range?: readonly [min: number, max: number];
  readonly sound?: { readonly rate: number; readonly channels: number };
  /** Of an integer input with one scale. */
  readonly quant?: { readonly scale: number; readonly zeroPoint: number };
}

/** For each input of a subgraph (0 by default), in its order: the values that it expects; undefined where nothing readable is said. */
export function expectedInputs(model: Model, subgraph = 0): (ExpectedInput | undefined)[] {
  const graph = model.subgraphs?.[subgraph];
  const said = metadataInputs(model, subgraph).map(expectedOf);
  return Array.from(graph?.inputs ?? [], (index, position) => said[position] ?? recordedOf(graph?.tensors?.[index]));
}

/** The range that an earlier recording left. */
function recordedOf(tensor: Tensor | undefined): ExpectedInput | undefined {
  const { min, max } = tensor?.quantization ?? {};
  if (min?.length !== 1 || max?.length !== 1 || !(min[0]! < max[0]!)) return undefined;
  return { min: min[0]!, max: max[0]!, by: "the range that the model has for it", recorded: true };
}

/** The same, as what pictures and sounds are prepared by; an empty object where nothing is said. */
export function statedInputs(model: Model, subgraph = 0): StatedInput[] {
  const graph = model.subgraphs?.[subgraph];
  const said = metadataInputs(model, subgraph);
  return Array.from(graph?.inputs ?? [], (index, position) => {
    const { content, stats, ...rest } = said[position] ?? {};
    const normalization = normalizationOf(rest);
    const expected = normalization ? undefined : expectedOf({ stats });
    const { type, value } = content?.properties ?? {};
    const { scale, zeroPoint } = graph?.tensors?.[index]?.quantization ?? {};
    return {
      ...(normalization && { normalization }),
      ...(expected && { range: [expected.min, expected.max] as const }),
      ...(type === "AudioProperties" &&
        value?.sampleRate && { sound: { rate: value.sampleRate, channels: value.channels ?? 1 } }),
      ...(scale?.length === 1 && { quant: { scale: scale[0]!, zeroPoint: Number(zeroPoint?.[0] ?? 0n) } }),
    };
  });
}

function normalizationOf({ processUnits = [] }: TensorMetadata): StatedInput["normalization"] {
  for (const { options } of processUnits) {
    const { mean, std } = (options?.type === "NormalizationOptions" && options.value) || {};
    if (mean?.length && std?.length && std.every((value) => value > 0)) return { mean: [...mean], std: [...std] };
  }
  return undefined;
}

function metadataInputs(model: Model, subgraph: number): readonly TensorMetadata[] {
  return metadataOf(model).subgraphMetadata?.[subgraph]?.inputTensorMetadata ?? [];
}

function expectedOf({ stats, ...rest }: TensorMetadata): ExpectedInput | undefined {
  const { mean, std } = normalizationOf(rest) ?? {};
  if (mean && std) {
    const stdOf = (channel: number) => std[Math.min(channel, std.length - 1)]!;
    const channels = [...mean.keys()];
    return {
      min: Math.min(...channels.map((channel) => (0 - mean[channel]!) / stdOf(channel))),
      max: Math.max(...channels.map((channel) => (255 - mean[channel]!) / stdOf(channel))),
      by: `the model's metadata (mean ${shown(mean)}, std ${shown(std)})`,
    };
  }
  if (!stats?.min?.length || !stats.max?.length) return undefined;
  const [min, max] = [Math.min(...stats.min), Math.max(...stats.max)];
  return min < max
    ? { min, max, by: `the model's metadata (min ${shown(stats.min)}, max ${shown(stats.max)})` }
    : undefined;
}

const shown = (values: Iterable<number>) => Array.from(values, (value) => Number(value.toPrecision(4))).join("/");
