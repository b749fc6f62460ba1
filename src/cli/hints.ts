/** Command lines that are nearly right: the line that helps. */
import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import { extname } from "node:path";
import { closest, distance } from "fastest-levenshtein";
import { UsageError } from "../base/errors.ts";
import { endsAsFolder, withSlashes } from "../base/platform.ts";
import type { Command } from "../commands/command.ts";
import { foreignFolder, foreignFormat } from "../model/foreign.ts";
import { COMMANDS, FRONTS } from "./commands.ts";

const MODELS = [".tflite", ".circle"];
/** Endings of models of any kind: a word that has one was meant to be a model, whether it is there or not. */
const ANY_MODEL = [...MODELS, ".onnx", ".pt", ".pth", ".h5", ".keras", ".pb"];

/** Whether a word is meant as the path of a model, not as a command. */
function isPath(word: string): boolean {
  return (
    ANY_MODEL.includes(extname(word).toLowerCase()) ||
    withSlashes(word).includes("/") ||
    (word !== "" && existsSync(word))
  );
}

/** Throws a UsageError for a model where a command is expected. */
export function refuseBarePath(word: string | undefined): void {
  if (word === undefined || Object.hasOwn(COMMANDS, word) || !isPath(word)) return;
  const foreign = formatOf(word);
  if (foreign !== undefined)
    throw new UsageError(`${word}: minmaxq reads .tflite and .circle models, and this looks like ${foreign}`);
  const what = existsSync(word) ? "is a path" : "is a path (of nothing that is there)";
  throw new UsageError(
    `${word}: ${what}, and a command comes first: 'minmaxq inspect ${word}' shows what is in a model, 'minmaxq quantize ${word} --data SAMPLES -o ${outputFor(word)}' quantizes it; see 'minmaxq --help'`,
  );
}

/** What a file is that is no model of ours. */
function formatOf(path: string): string | undefined {
  const folder = foreignFolder(path);
  if (folder !== undefined || MODELS.includes(extname(path).toLowerCase())) return folder;
  try {
    // A pipe would be waited for.
    if (!statSync(path).isFile()) return undefined;
    const head = new Uint8Array(64);
    const fd = openSync(path, "r");
    const length = readSync(fd, head, 0, head.length, 0);
    closeSync(fd);
    return foreignFormat(path, head.subarray(0, length));
  } catch {
    return undefined;
  }
}

function outputFor(model: string): string {
  const ending = MODELS.find((each) => model.toLowerCase().endsWith(each)) ?? ".tflite";
  const stem = model.slice(0, model.length - extname(model).length);
  return ending === ".circle" ? `${stem}.q8.circle` : `${stem}.int8.tflite`;
}

/** Throws a UsageError for `help NAME` of a name that there is none of. */
export function refuseUnknownHelp(name: string | undefined): void {
  const names = [...Object.keys(COMMANDS), ...Object.keys(FRONTS)];
  if (name === undefined || name.startsWith("-") || names.includes(name)) return;
  const near = closest(name, names);
  const hint = distance(name, near) <= Math.max(2, name.length / 2) ? `did you mean ${near}? ` : "";
  throw new UsageError(`there is no command '${name}' to help with; ${hint}'minmaxq --help' lists all of them`);
}

/** What to add to commander's complaint about positionals: an example, or where samples go. */
export function positionalHint(code: string, words: readonly string[], command: Command | undefined): string {
  if (!command) return "";
  if (code === "commander.missingArgument") return `, for example: ${command.examples[0]}`;
  if (code !== "commander.excessArguments" || !command.options.includes("data")) return "";
  const samples = words.find((word) => /\.(npy|npz|h5|hdf5|txt|list|png|jpe?g|wav)$/i.test(word) || endsAsFolder(word));
  return samples === undefined ? "" : ` (samples go behind --data: --data ${samples})`;
}
