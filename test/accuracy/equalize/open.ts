/** Models as passes see them, and what they compute in LiteRT. */

import type { DataSet } from "../../../src/calibration/dataset.ts";
import { inputSpecs, openDataSet } from "../../../src/calibration/index.ts";
import { lookAtRecords } from "../../../src/calibration/looks.ts";
import { type Model, serializeModel } from "../../../src/model/index.ts";
import type { Workspace } from "../../../src/passes/context.ts";
import { exportWorkspace, workspace } from "../../../src/passes/workspace.ts";
import { DEFAULT_SCHEME, SCHEMES } from "../../../src/rules/schemes.ts";
import { fillConstants } from "../../../src/weights/fill.ts";
import { reopened } from "../../passes/support.ts";

/** A model through its bytes. */
export async function openInMemory(model: Model, scheme: keyof typeof SCHEMES = "int8"): Promise<Workspace> {
  return workspace(await reopened(model), { ...DEFAULT_SCHEME, scheme: SCHEMES[scheme] });
}

export async function samples(model: Model, count: number): Promise<DataSet> {
  return openDataSet(`random:${count}`, inputSpecs(model));
}

/** Values of the outputs, record by record, as the graphs are now. */
export async function outputsOf(space: Workspace, data: DataSet): Promise<Float32Array[]> {
  return outputsOfModel(exportWorkspace(space).model, data);
}

export async function outputsOfModel(model: Model, data: DataSet): Promise<Float32Array[]> {
  const found: Float32Array[] = [];
  const looks = new Map(
    Array.from(model.subgraphs![0]!.outputs!, (tensor) => [tensor, { channels: 0, inner: 1, whole: true }]),
  );
  await lookAtRecords(model, data, {
    looks,
    fill: fillConstants,
    take: (_record, _tensor, { values }) => found.push(values!),
  });
  return found;
}

export async function bytesOf(space: Workspace): Promise<Uint8Array> {
  return serializeModel(exportWorkspace(space).model, { dialect: "tflite", fill: fillConstants });
}

/** Largest difference as a share of the largest value. */
export function relativeError(expected: readonly Float32Array[], actual: readonly Float32Array[]): number {
  let [largest, difference] = [0, 0];
  for (const [i, values] of expected.entries())
    for (const [k, value] of values.entries()) {
      largest = Math.max(largest, Math.abs(value));
      difference = Math.max(difference, Math.abs(value - actual[i]![k]!));
    }
  return difference / largest;
}
