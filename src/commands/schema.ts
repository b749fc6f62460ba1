/** `minmaxq schema`: the JSON Schema of what programs read and write. */
import { UsageError } from "../base/errors.ts";
import type { Command } from "./command.ts";

export const schema: Command = {
  name: "schema",
  summary: "print the JSON Schema of a --json document or of a file",
  positionals: ["[document]"],
  options: [],
  examples: ["minmaxq schema", "minmaxq schema report > report.schema.json"],
  notes: [
    'Without a name it lists all. The member "schema" of a document says which one it is: minmaxq/report/1 is version 1 of report.',
  ],
  async run([name], _, output) {
    const { SCHEMAS_BY_NAME } = await import("../documents/documents.ts");
    if (name === undefined) {
      for (const [each, { of }] of Object.entries(SCHEMAS_BY_NAME)) output.print(`${each.padEnd(12)} ${of}`);
      return;
    }
    if (!Object.hasOwn(SCHEMAS_BY_NAME, name))
      throw new UsageError(`there is no schema "${name}"; choose one of ${Object.keys(SCHEMAS_BY_NAME).join(", ")}`);
    output.print(JSON.stringify(SCHEMAS_BY_NAME[name]!.jsonSchema(), null, 2));
  },
};
