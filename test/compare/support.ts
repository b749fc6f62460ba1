/** Helpers of the comparing tests. */
import type { DataSet } from "../../src/calibration/index.ts";
import { compileLibrary, loadEngine } from "../../src/calibration/litert.ts";
import { type CompareOptions, type Comparison, compareModels } from "../../src/compare/compare.ts";
import { openSide } from "../../src/compare/side.ts";
import { MemoryBytes } from "../../src/model/bytes.ts";
import { type Model, readModel, serializeModel } from "../../src/model/index.ts";
import type { Workspace } from "../../src/passes/context.ts";
import { fakeQuantizeModel } from "../../src/passes/transform/fake-quantize-model.ts";
import { exportWorkspace, workspace } from "../../src/passes/workspace.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { DEFAULT_TARGETS, type Target } from "../../src/rules/targets.ts";
import { fillConstants } from "../../src/weights/fill.ts";
import { dataOf } from "../calibration/support.ts";
import { generator } from "../kernels/oracle.ts";
import { inferAll, reopened } from "../passes/support.ts";

/** The model of a workspace, its pending constants computed. */
export async function modelOf(space: Workspace): Promise<Model> {
  const { model } = exportWorkspace(space);
  const bytes = await serializeModel(model, { dialect: "circle", fill: fillConstants });
  return readModel(new MemoryBytes(bytes)).model;
}

/** The fake-quantized float model, as `minmaxq fake-quantize` writes it; without a target, rounded to the nearest. */
export async function fakeQuantized(
  model: Model,
  target: Target | null = DEFAULT_TARGETS.circle.target,
): Promise<Model> {
  const space = workspace(await reopened(model), { scheme: SCHEMES.uint8, granularity: "channel" });
  for (const graph of space.graphs) fakeQuantizeModel(graph, true, target);
  inferAll(space);
  return modelOf(space);
}

/** What LiteRT gives for float32 tensors of a float model, by name, one array per record. The naive way: all tensors of all records. */
export async function valuesOf(
  model: Model,
  names: readonly string[],
  records: readonly Uint8Array[][],
): Promise<Map<string, Float32Array[]>> {
  const [graph] = model.subgraphs!;
  const tensors = graph!.tensors!.map((tensor, i) => ({
    ...tensor,
    name: `t${i}`,
    quantization: quantizationOf(tensor),
  }));
  const places = names.map((name) => graph!.tensors!.findIndex((tensor) => tensor.name === name));
  if (places.includes(-1)) throw new Error(`no tensor "${names[places.indexOf(-1)]}"`);
  const shown = { ...graph!, tensors, outputs: Int32Array.from(places) };
  const bytes = await serializeModel(
    { ...model, version: 3, signatureDefs: undefined, subgraphs: [shown] },
    { dialect: "tflite" },
  );
  const outputNames = places.map((place) => `t${place}`);
  const engine = await loadEngine(bytes, outputNames, await compileLibrary(false), false);
  const values = new Map<string, Float32Array[]>(names.map((name) => [name, []]));
  for (const record of records) {
    await engine.run(record, (output, seen) => {
      values.get(names[output]!)!.push(new Float32Array(seen.slice().buffer));
    });
  }
  engine.close();
  return values;
}

function quantizationOf({ type, quantization }: NonNullable<NonNullable<Model["subgraphs"]>[0]["tensors"]>[0]) {
  return (type ?? 0) === 0 ? undefined : quantization;
}

/** Float records with values from −1 to 1 (or from `low`). */
export function floatRecords(sizes: readonly number[], count: number, low = -1): Uint8Array[][] {
  const next = generator(7);
  const value = () => low + (next() / 2 ** 32) * (1 - low);
  return Array.from({ length: count }, () =>
    sizes.map((size) => new Uint8Array(Float32Array.from({ length: size }, value).buffer)),
  );
}

/** Compares two models in memory. */
export async function compared(
  first: Model,
  second: Model,
  data: DataSet | Uint8Array[][],
  options: CompareOptions = {},
): Promise<Comparison> {
  const sides = [await openSide(await reopened(first)), await openSide(await reopened(second))] as const;
  const set = Array.isArray(data) ? dataOf(...data) : data;
  return compareModels(sides, async () => set, { workers: 1, ...options });
}
