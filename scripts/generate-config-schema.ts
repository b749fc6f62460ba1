/** Writes schema/layers.schema.json, which editors use for files of layer settings, from src/config.ts. */
import { z } from "zod";
import { CONFIG } from "../src/config.ts";

/** The JSON Schema's text. test/layers.test.ts holds the file to it. */
export function configSchema(): string {
  const schema = z.toJSONSchema(CONFIG, { io: "output" });
  return `${JSON.stringify({ ...schema, title: "minmaxq layer settings" }, null, 2)}\n`;
}

if (import.meta.main) await Bun.write("schema/layers.schema.json", configSchema());
