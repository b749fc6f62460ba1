/** Commands that change a model's graphs and write it again: their common course. */
import { statSync } from "node:fs";
import { about } from "../driver/about.ts";
import { checkPaths, dialectOf } from "../driver/paths.ts";
import { inferAll, type Workspace, workspace, writeWorkspace } from "../driver/workspace.ts";
import { openModel } from "../model/index.ts";
import type { OptionName, OptionValues } from "../options/table.ts";
import type { QuantizeOptions } from "../passes/context.ts";
import { sizeText } from "../terminal/output.ts";
import type { Command } from "./command.ts";

export interface Transform {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionName[];
  readonly demands?: readonly OptionName[];
  readonly examples: readonly string[];
  /** Options that passes see; uint8 per channel where it does not matter. */
  settings?(options: OptionValues): QuantizeOptions;
  /** Changes the graphs; returns what was done, for people. */
  change(space: Workspace, options: OptionValues): string | Promise<string>;
}

/** Makes a command of a transform: open, change, infer dtypes, write, say what was done. */
export function transformCommand(transform: Transform): Command {
  const { name, summary, demands, examples } = transform;
  return {
    name,
    summary,
    positionals: ["model"],
    options: ["output", ...transform.options, "force"],
    demands,
    examples,
    async run([input], options, output) {
      checkPaths([input!], options.output, options.force);
      const opened = openModel(input!);
      try {
        for (const line of opened.unknown) output.tell(`warning: ${line}`);
        const settings = transform.settings?.(options) ?? { dtype: "UINT8", granularity: "channel" };
        const space = workspace(opened, settings);
        const done = await about(input!, async () => {
          const text = await transform.change(space, options);
          space.context.scanner.throwProblems();
          inferAll(space);
          return text;
        });
        await about(input!, () => writeWorkspace(space, options.output, dialectOf(options.output)), options.output);
        const sizes = `${sizeText(opened.source.size)} → ${sizeText(statSync(options.output).size)}`;
        output.print(`${options.output}: ${done}, ${sizes}`);
        for (const note of space.context.notes) output.print(`  ${note.kind}: ${note.text}`);
      } finally {
        opened.close();
      }
    },
  };
}
