/** What the tables of options and commands say of themselves. */
import { describe, expect, test } from "bun:test";
import { allCommands, COMMANDS, runsModels } from "../../src/cli/commands.ts";
import { JOB_OPTIONS, SHARED_JOB_OPTIONS } from "../../src/options/lists.ts";
import { type OptionName, ROWS } from "../../src/options/table.ts";

const commands = (await allCommands()).flatMap(({ subcommands, ...command }) => [command, ...(subcommands ?? [])]);

describe("the option table", () => {
  test("every option belongs to a command", () => {
    const used = new Set(commands.flatMap(({ options }) => options));
    expect(Object.keys(ROWS).filter((name) => !used.has(name as OptionName))).toEqual([]);
  });

  test("an option whose value is called a path, a file or samples says how it is used", () => {
    for (const [name, { flags, file }] of Object.entries(ROWS))
      expect([name, file !== undefined]).toEqual([name, /<(path|samples|file\b.*)>/.test(flags)]);
  });

  test("batch has the options of jobs that one model has not for itself, and those of commands", () => {
    const batch = commands.find(({ name }) => name === "batch")!;
    const own = batch.options.filter((name) => ROWS[name].ofCommand);
    expect([...batch.options].sort()).toEqual([...own, ...SHARED_JOB_OPTIONS].sort());
    expect(JOB_OPTIONS).toContain("explain");
    expect(JOB_OPTIONS).not.toContain("force");
    for (const name of ["output", "explain", "force"] as const) expect(batch.options).not.toContain(name);
  });
});

describe("which commands run models", () => {
  const rows: [executable: string, words: string, runs: boolean | undefined][] = [
    ["minmaxq", "quantize m.circle -o q.circle", false],
    ["minmaxq", "quantize m.circle --data s.npz -o q.circle", true],
    ["minmaxq", "quantize m.circle --data=s.npz -o q.circle", true],
    ["minmaxq", "--trace t.json quantize m.circle -o q.circle", false],
    ["minmaxq", "record m.circle --data s.npz -o r.circle", true],
    ["minmaxq", "compare a.tflite b.circle --data s.npz", true],
    ["minmaxq", "convert a.tflite -o b.circle", false],
    // Pictures are resized by JavaScript.
    ["minmaxq", "data pack photos --model a.tflite -o s.npz", true],
    ["minmaxq", "batch models --out q --data s.npz", true],
    // ONE's tool makes up samples when none are given.
    ["minmaxq", "record-minmax --input_model a --output_model b", true],
    ["record-minmax", "--input_model a --output_model b", true],
    ["minmaxq", "circle-eval-diff --first_model a --second_model b", true],
    ["minmaxq", "circle-quantizer --quantize_with_minmax float32 uint8 channel a b", false],
    // A model may be called like a command.
    ["circle-quantizer", "--requantize int8 uint8 record compare", false],
    ["minmaxq", "nonsense", undefined],
    ["minmaxq", "", undefined],
    ["minmaxq", "constructor", undefined],
  ];
  for (const [executable, words, runs] of rows)
    test(`${executable} ${words}`, () => expect(runsModels(executable, words.split(" "))).toBe(runs));

  test("a command that takes samples says so", () => {
    for (const { name, options, demands } of commands.filter(({ name }) => name.split(" ")[0] !== "data")) {
      const expected = !options.includes("data") ? "never" : demands?.includes("data") ? "always" : "with --data";
      expect([name, COMMANDS[name]!.runsModels]).toEqual([name, expected]);
    }
  });
});
