/** Helpers of the prepare tests: a model before and after, told as text, and run by LiteRT. */
import { runSteps } from "../../src/base/steps.ts";
import { openDataSet } from "../../src/calibration/dataset.ts";
import { constantsKnown } from "../../src/calibration/fold.ts";
import { subgraphOf } from "../../src/calibration/graph-facts.ts";
import { inputSpecs, instrument } from "../../src/calibration/instrument.ts";
import { compileLibrary, loadEngine } from "../../src/calibration/litert.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { MemoryBytes } from "../../src/model/bytes.ts";
import { type Model, type OpenedModel, readModel, serializeModel } from "../../src/model/index.ts";
import type { Workspace } from "../../src/passes/context.ts";
import { type Prepared as Done, PREPARE_PASSES, prepareSteps } from "../../src/passes/prepare/index.ts";
import { exportWorkspace, workspace } from "../../src/passes/workspace.ts";
import { DEFAULT_SCHEME } from "../../src/rules/schemes.ts";
import { fillConstants } from "../../src/weights/fill.ts";

export interface Prepared {
  readonly space: Workspace;
  /** As it was, with the always-on preparation (float16, sparse) only. */
  readonly before: Model;
  readonly after: Model;
  /** What the passes say they did. */
  readonly said: readonly string[];
}

/** A built model, as if it had been read from a file. */
export async function opened(model: Model): Promise<OpenedModel> {
  return readModel(new MemoryBytes(await serializeModel(model, { dialect: "circle" })));
}

/** Runs the steps that are not switched `off`, or are switched `on`, on some graphs; gives what those did that changed something. */
export async function prepareGraphs(
  space: Workspace,
  graphs: readonly Graph[],
  off: readonly string[] = [],
  on: readonly string[] = [],
): Promise<Done[]> {
  const done: Done[] = [];
  await runSteps(prepareSteps(space, graphs, off, done, on), []);
  return done;
}

/** Runs the passes but those switched off on all subgraphs, or the first `graphs` of them. */
export async function prepared(
  of: OpenedModel,
  off: readonly string[] = [],
  graphs?: number,
  on: readonly string[] = [],
): Promise<Prepared> {
  const options = DEFAULT_SCHEME;
  const before = exportWorkspace(workspace(of, options)).model;
  const space = workspace(of, options);
  const said = (await prepareGraphs(space, space.graphs.slice(0, graphs), off, on)).map(({ text }) => text);
  return { space, before, after: exportWorkspace(space).model, said };
}

/** Only these passes of those that are not on request. */
export const only = (...names: string[]): string[] =>
  PREPARE_PASSES.filter(({ name, onRequest }) => !onRequest && !names.includes(name)).map(({ name }) => name);

/** Every float result of every operator, by name, for one made-up record: values from −5 to 5, times `factor`. */
export async function run(model: Model, seed = 1, factor = 1): Promise<Map<string, Float32Array>> {
  const known = await constantsKnown(model, subgraphOf(model, 0));
  const plan = instrument(model, 0, known);
  const bytes = await serializeModel(plan.model, { dialect: "tflite", fill: fillConstants });
  const engine = await loadEngine(bytes, plan.outputNames, await compileLibrary(false), false);
  const data = await openDataSet(`random:1:${seed}`, inputSpecs(model));
  const values = new Map<string, Float32Array>();
  try {
    for await (const record of data.records()) {
      const inputs = record.map(
        (input) => new Uint8Array(new Float32Array(input.buffer).map((v) => v * factor).buffer),
      );
      await engine.run(factor === 1 ? record : inputs, (output, result) => {
        const copy = result.slice();
        values.set(plan.outputs[output]!.name, new Float32Array(copy.buffer));
      });
    }
  } finally {
    engine.close();
    data.close();
  }
  return values;
}

/**
 * Largest difference of a tensor that both have, relative to the tensor's largest value; over all such tensors. Throws when `actual`
 * has a tensor that the other has not.
 */
export function difference(expected: Map<string, Float32Array>, actual: Map<string, Float32Array>): number {
  let worst = 0;
  for (const [name, values] of actual) {
    const wanted = expected.get(name);
    if (wanted?.length !== values.length) throw new Error(`"${name}" is not in the other model, or has another size`);
    let largest = 0;
    let apart = 0;
    wanted.forEach((value, i) => {
      largest = Math.max(largest, Math.abs(value));
      apart = Math.max(apart, Math.abs(value - values[i]!));
    });
    if (!(apart >= 0)) throw new Error(`"${name}" is not a number`);
    if (apart > 0) worst = Math.max(worst, apart / largest);
  }
  return worst;
}

/** The difference that preparing a model makes. */
export async function largestDifference({ before, after }: Prepared): Promise<number> {
  return difference(await run(before), await run(after));
}

/** Bytes of a constant, whatever describes it. */
export async function bytesOf(model: Model, name: string, subgraph = 0): Promise<Uint8Array> {
  const file = readModel(new MemoryBytes(await serializeModel(model, { dialect: "circle", fill: fillConstants })));
  const tensor = file.model.subgraphs![subgraph]!.tensors!.find((each) => each.name === name)!;
  const content = file.model.buffers![tensor.buffer!]!.data!;
  if ("deferred" in content) throw new Error("a file has no deferred contents");
  const bytes = new Uint8Array(content.length);
  content.source.readInto(bytes, content.offset);
  return bytes;
}

/** Floats of a constant. */
export async function floatsOf(model: Model, name: string, subgraph = 0): Promise<number[]> {
  return Array.from(new Float32Array((await bytesOf(model, name, subgraph)).buffer));
}

/** Numbers without a pattern, the same every time (a linear congruence), between −1 and 1. */
export function numbers(count: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}
