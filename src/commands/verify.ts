/** `minmaxq verify`: lists everything in a quantized model that breaks the rules of its operators. */

import { FileError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { counted } from "../base/text.ts";
import { checkInput } from "../driver/paths.ts";
import { throwProblems, verifyGraphs } from "../driver/phases.ts";
import { activeNodes, isConstant, type Node } from "../graph/graph.ts";
import { openModel } from "../model/index.ts";
import type { OptionValues } from "../options/values.ts";
import type { LayerSetting } from "../passes/context.ts";
import { targetProblems } from "../passes/target/check.ts";
import { workspace } from "../passes/workspace.ts";
import { roleOf } from "../rules/operators.ts";
import { activationOf, DEFAULT_SCHEME, schemeWith } from "../rules/schemes.ts";
import { targetNamed } from "../rules/targets.ts";
import type { Command } from "./command.ts";

export const verify: Command = {
  name: "verify",
  summary: "check a quantized model and list all problems",
  positionals: ["model"],
  options: ["target", "json"],
  examples: ["minmaxq verify model.q8.circle", "minmaxq verify model.q8.circle --target onert"],
  run,
};

async function run([input]: readonly string[], options: OptionValues, output: Output): Promise<void> {
  checkInput(input!);
  const opened = openModel(input!);
  try {
    const space = workspace(opened, DEFAULT_SCHEME);
    const { layers } = space.context;
    const nodes = space.graphs.flatMap(activeNodes);
    // Every operator is held to the scheme that its own result has, so mixed precision needs no settings here.
    for (const node of nodes)
      if (node.kind === "operator" || node.kind === "result") layers.set(node.name, settingOf(node));
    const quantized = nodes.filter((node) => node.kind !== "output" && isActivation(node)).length;
    const target = targetNamed(options.target);
    const problems = [...verifyGraphs(space, true), ...(target ? targetProblems(space.context, target) : [])];
    if (options.json) output.print(JSON.stringify({ model: input, quantized, problems }, null, 2));
    if (quantized === 0 && problems.length === 0)
      throw new FileError(input!, "has no quantized activations; run 'minmaxq quantize' first");
    if (options.json && problems.length > 0) throw new FileError(input!, counted(problems.length, "problem"));
    throwProblems(input!, problems);
    if (!options.json) output.print(`${input}: verified, ${counted(quantized, "quantized activation")}`);
  } finally {
    opened.close();
  }
}

function isActivation(node: Node): boolean {
  return !isConstant(node) && node.quant !== null && activationOf("one", node.dtype) !== undefined;
}

/** The scheme of a node's result (of its first operand that has one, where the result is none), and its weights' granularity. */
function settingOf(node: Node): LayerSetting {
  const row = node.row;
  const [scheme = DEFAULT_SCHEME.scheme] = [node, ...node.inputs].flatMap(
    (tensor) => (tensor && schemeWith("one", tensor.dtype)) ?? [],
  );
  const perTensor = node.inputs.some((tensor, index) => {
    const role = roleOf(row, index);
    if (!tensor?.quant || (role.role !== "weights" && role.role !== "unit")) return false;
    // One scale for one channel may be either; then the axis tells.
    const axis = role.role === "weights" ? role.axis : tensor.shape.length - 1;
    return tensor.quant.scale.length === 1 && ((tensor.shape[axis] ?? 1) > 1 || tensor.quant.axis !== axis);
  });
  return { scheme, granularity: perTensor ? "layer" : "channel" };
}
