/** `minmaxq check`: will a runtime load a model and compute it rightly? Lists every operator that it will not, and what to do. */
import { FileError, UsageError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { counted, indented } from "../base/text.ts";
import { checkInput } from "../driver/paths.ts";
import { activeNodes, describe } from "../graph/graph.ts";
import { openModel } from "../model/index.ts";
import type { OptionValues } from "../options/values.ts";
import { checkTarget, graphsFor, isFault, remarksOn } from "../passes/target/check.ts";
import { targetNamed } from "../rules/targets.ts";
import { printFitted } from "../terminal/table.ts";
import { documentText } from "../views/json.ts";
import { ConstantScanner } from "../weights/scan.ts";
import type { Command } from "./command.ts";

export const check: Command = {
  name: "check",
  summary: "check whether a runtime loads a model and computes it rightly",
  positionals: ["model"],
  options: ["target", "customOperators", "json"],
  demands: ["target"],
  examples: ["minmaxq check model.int8.tflite --target tflm", "minmaxq check model.q8.circle --target onert"],
  run,
};

async function run([input]: readonly string[], options: OptionValues, output: Output): Promise<void> {
  const target = targetNamed(options.target, options.customOperators);
  if (!target) throw new UsageError("--target none: check needs a runtime to hold the file to");
  checkInput(input!);
  const opened = openModel(input!);
  try {
    // As it is in the file: what preparing would mend is what the runtime meets.
    const graphs = graphsFor(opened.model, target);
    const scanner = new ConstantScanner();
    const operators = graphs.flatMap(activeNodes).filter((node) => node.kind === "operator").length;
    const findings = graphs.flatMap((graph) => checkTarget(graph, target, scanner));
    const remarks = graphs.flatMap((graph) => remarksOn(graph, target, scanner));
    const lines = (some: typeof findings) => some.map(({ node, text }) => `${describe(node)}: ${text}`);
    const elsewhere = lines(findings.filter((finding) => !isFault(finding)));
    const loads = target.formats.includes(opened.dialect);
    const format = loads ? [] : [`${target.runtime} does not load .${opened.dialect} files; convert it first`];
    const problems = [...format, ...lines(findings.filter(isFault))];
    if (options.json) {
      const found = findings.map(({ node, consequence, text }) => ({
        operator: node.op === "CUSTOM" ? node.customCode : node.op,
        tensor: node.name,
        consequence,
        text,
      }));
      const runs = problems.length === 0;
      output.print(
        documentText("check", {
          reportVersion: 1,
          ...{ model: input, target: target.name, runs, operators, format, findings: found, remarks },
        }),
      );
    }
    if (problems.length > 0) {
      const summary = `is not for ${target.runtime} (${counted(problems.length, "problem")})`;
      throw new FileError(input!, options.json ? summary : `${summary}:\n${indented(problems)}`, {
        code: "not-for-target",
      });
    }
    if (options.json) return;
    const does = target.host ? "takes it" : "loads it and computes it rightly";
    const said = [
      `${input}: ${target.runtime} ${does} (${counted(operators, "operator")})`,
      ...(elsewhere.length > 0 ? [`  on the CPU (${elsewhere.length}):`] : []),
      ...elsewhere.map((line) => `    ${line}`),
      ...remarks.map((remark) => `  ${remark}`),
    ];
    printFitted(output, said);
  } finally {
    opened.close();
  }
}
