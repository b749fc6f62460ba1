/** `minmaxq inspect`: what is in a model, for people or as JSON. */

import { UsageError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { checkInput } from "../driver/paths.ts";
import { inspectReport } from "../inspect/facts.ts";
import { placesOf, tensorDetails } from "../inspect/tensor.ts";
import { type Model, openModel, subgraphText } from "../model/index.ts";
import { type OptionName, ROWS } from "../options/table.ts";
import type { OptionValues } from "../options/values.ts";
import { coloursFor, columnsOf } from "../terminal/streams.ts";
import {
  constantLines,
  detailLines,
  type Look,
  operatorLines,
  signatureLines,
  summaryLines,
  tensorLines,
} from "../views/inspect.ts";
import { documentText } from "../views/json.ts";
import type { Command } from "./command.ts";

/** What can be printed instead of the summary. */
const VIEWS = {
  operators: operatorLines,
  tensors: tensorLines,
  constants: constantLines,
  signatures: signatureLines,
} as const;

export const inspect: Command = {
  name: "inspect",
  summary: "show a model's inputs, outputs, operators and quantization",
  positionals: ["model"],
  options: ["operators", "tensors", "constants", "signatures", "tensor", "text", "json"],
  examples: [
    "minmaxq inspect model.circle",
    "minmaxq inspect model.q8.circle --operators",
    "minmaxq inspect model.q8.circle --tensor conv1/Relu",
    "minmaxq inspect model.q8.circle --text > after.txt    # for diff",
    "minmaxq inspect model.q8.circle --json | jq '.subgraphs[0].operators[0]'",
  ],
  run,
};

async function run([input]: readonly string[], options: OptionValues, output: Output): Promise<void> {
  const asked = ([...Object.keys(VIEWS), "tensor", "text"] as OptionName[]).filter((name) => options[name]);
  if (asked.length > 1)
    throw new UsageError(`${asked.map((name) => ROWS[name].flags.split(" ")[0]).join(" and ")}: give one of them`);
  checkInput(input!);
  const opened = openModel(input!);
  const look: Look = { colours: coloursFor(1), width: columnsOf(1) };
  const print = (lines: readonly string[]) => {
    for (const line of lines) output.print(line);
  };
  try {
    if (options.tensor !== undefined) {
      const details = placesOf(opened, options.tensor).map((place) => tensorDetails(opened, place));
      if (options.json)
        return output.print(documentText("tensor", { reportVersion: 1, path: input!, tensors: details }));
      return print(details.flatMap((each) => detailLines(each, look)));
    }
    if (options.text) return printText(opened.model, output);
    const report = inspectReport(input!, opened);
    if (options.json) return output.print(documentText("inspect", report));
    const view = (Object.keys(VIEWS) as (keyof typeof VIEWS)[]).find((name) => options[name]);
    print(view ? VIEWS[view](report, look) : summaryLines(report, look));
  } finally {
    opened.close();
  }
}

function printText(model: Model, output: Output): void {
  for (const [index, { name }] of (model.subgraphs ?? []).entries()) {
    output.print(`subgraph ${index} "${name ?? ""}"`);
    for (const line of subgraphText(model, index)) output.print(`  ${line}`);
  }
}
