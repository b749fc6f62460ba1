/**
 * Writes the JSON Schemas that editors and programs use, from the code that checks or makes what they describe: schema/NAME.schema.json for files
 * that people write (layer settings, job lists, overrides), schema/output/NAME.schema.json for what minmaxq writes.
 */
import { SCHEMAS_BY_NAME } from "../src/documents/documents.ts";

/** Text by path, of all schemas. test/stability/schemas.test.ts holds the files to it. */
export function schemaFiles(): Map<string, string> {
  return new Map(
    Object.entries(SCHEMAS_BY_NAME).map(([name, { by, jsonSchema }]) => [
      `schema/${by === "people" ? "" : "output/"}${name}.schema.json`,
      `${JSON.stringify(jsonSchema(), null, 2)}\n`,
    ]),
  );
}

const textOf = (name: string) => schemaFiles().get(`schema/${name}.schema.json`)!;

/** The text of schema/layers.schema.json. test/settings/layers.test.ts holds the file to it. */
export const configSchema = () => textOf("layers");
/** The texts of schema/jobs.schema.json and schema/overrides.schema.json. test/batch/list.test.ts holds the files to them. */
export const jobsSchema = () => textOf("jobs");
export const overridesSchema = () => textOf("overrides");

if (import.meta.main) for (const [path, text] of schemaFiles()) await Bun.write(path, text);
