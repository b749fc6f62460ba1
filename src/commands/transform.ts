/** Commands that change a model's graphs and write it again: their common course. */
import { transform as run } from "../driver/quantize.ts";
import type { TransformSettings } from "../driver/settings.ts";
import { accuracyOf, layersOf, samplesOf } from "../options/settings.ts";
import type { OptionName } from "../options/table.ts";
import type { OptionValues } from "../options/values.ts";
import type { QuantizeOptions, Workspace } from "../passes/context.ts";
import { printFitted } from "../terminal/table.ts";
import { documentText } from "../views/json.ts";
import { transformLines } from "../views/summary.ts";
import type { Command } from "./command.ts";

export interface Transform {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionName[];
  readonly demands?: readonly OptionName[];
  readonly examples: readonly string[];
  /** Options that passes see; uint8 per channel where it does not matter. */
  settings?(options: OptionValues): QuantizeOptions;
  /** What weights become, for --accuracy. */
  quantizerOf?(options: OptionValues): TransformSettings["quantizerOf"];
  /** Changes the graphs; returns what was done, for people. */
  change(space: Workspace, options: OptionValues): string | Promise<string>;
}

/** Makes a command of a transform. */
export function transformCommand(transform: Transform): Command {
  const { name, summary, demands, examples } = transform;
  return {
    name,
    summary,
    positionals: ["model"],
    options: ["output", ...transform.options, "json", "force"],
    demands,
    examples,
    async run([input], options, output) {
      const report = await run(
        {
          model: input!,
          output: options.output,
          force: options.force,
          layers: layersOf(options),
          options: transform.settings?.(options),
          ...(transform.quantizerOf && {
            // No range is wanted of them.
            samples: samplesOf({ ...options, mode: "minmax" }),
            accuracy: accuracyOf(options),
            quantizerOf: transform.quantizerOf(options),
          }),
          change: (space) => transform.change(space, options),
        },
        output,
      );
      if (options.json) output.print(documentText("report", report));
      else printFitted(output, transformLines(report));
    },
  };
}
