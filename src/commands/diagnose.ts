/** `minmaxq diagnose`: where a model would lose when it is quantized, measured, and what mends it. */

import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Output } from "../base/output.ts";
import { checkInput, dialectOf } from "../driver/paths.ts";
import { checkTogether } from "../options/lists.ts";
import { SEARCH_OPTIONS, searchSettings } from "../options/search.ts";
import type { OptionValues } from "../options/values.ts";
import { diagnose as measure } from "../search/diagnose.ts";
import { Session } from "../search/session.ts";
import { openSwitches } from "../search/switches.ts";
import { coloursFor, columnsOf } from "../terminal/streams.ts";
import { CAUSE_NOTES, diagnosisFacts, diagnosisLines } from "../views/diagnose.ts";
import { documentText } from "../views/json.ts";
import type { Command } from "./command.ts";

export const diagnose: Command = {
  name: "diagnose",
  summary: "say where a model loses when it is quantized, and what mends it",
  positionals: ["model"],
  options: [...SEARCH_OPTIONS, "all", "json"],
  demands: ["data"],
  examples: [
    "minmaxq diagnose model.tflite --data samples.npz",
    "minmaxq diagnose model.tflite --data samples/ --scheme int16x8",
    "minmaxq diagnose model.tflite --data samples.npz --split 0.25 --json",
  ],
  notes: CAUSE_NOTES,
  run,
};

async function run([model]: readonly string[], options: OptionValues, output: Output): Promise<void> {
  checkInput(model!);
  // Nothing is written; schemes are those of the model's own format.
  const beside = join(tmpdir(), `minmaxq.${dialectOf(model!)}`);
  checkTogether({ ...options, output: beside });
  const session = await Session.open(searchSettings(model!, options, beside), output);
  try {
    const quantized = await session.quantize([]);
    const switches = await openSwitches(quantized.path, session.prepared, session.part.subgraph);
    const bench = await session.bench("held");
    try {
      const { options: own, dialect } = session.settings;
      const diagnosis = await measure(
        {
          bench,
          switches,
          float: session.prepared,
          scheme: own!.scheme,
          granularity: own!.granularity,
          dialect: dialect!,
        },
        output,
      );
      if (options.json) output.print(documentText("diagnose", { model, ...diagnosisFacts(diagnosis) }));
      else {
        const view = { all: options.all === true, colours: coloursFor(1), width: columnsOf(1) };
        for (const line of diagnosisLines(diagnosis, view)) output.print(line);
      }
    } finally {
      bench.close();
    }
  } finally {
    session.close();
  }
}
