/** `minmaxq doctor`: whether everything works that a run needs, and what to do where it does not. */

import pkg from "../../package.json" with { type: "json" };
import { MinmaxqError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import type { Check, Finding } from "../doctor/checks.ts";
import { coloursFor, columnsOf, isTerminal } from "../terminal/streams.ts";
import { documentText } from "../views/json.ts";
import type { Command } from "./command.ts";

export const doctor: Command = {
  name: "doctor",
  summary: "check that this machine has what minmaxq needs",
  positionals: [],
  options: ["json"],
  examples: ["minmaxq doctor", "MINMAXQ_QUEUE_URL=redis://queue.example:6379 minmaxq doctor"],
  async run(_, { json }, output) {
    const { CHECKS, find } = await import("../doctor/checks.ts");
    const colours = coloursFor(1);
    const marks = { ok: colours.green("ok"), warning: colours.yellow("warning"), failed: colours.red("failed") };
    const found: ({ readonly name: string } & Finding)[] = [];
    for (const check of [...CHECKS, TERMINAL]) {
      const finding = await find(check);
      found.push({ name: check.name, ...finding });
      if (json) continue;
      output.print(
        `${marks[finding.state].padEnd(marks[finding.state].length + 8 - finding.state.length)} ${check.name}: ${finding.text}`,
      );
      if (finding.remedy) output.print(`         ${finding.remedy}`);
    }
    const failed = found.filter(({ state }) => state === "failed");
    if (json)
      output.print(
        documentText("doctor", { reportVersion: 1, version: pkg.version, ok: failed.length === 0, checks: found }),
      );
    if (failed.length > 0)
      throw new MinmaxqError(
        `${counted(failed.length, "check")} failed: ${failed.map(({ name }) => name).join(", ")}`,
        {
          code: "unfit-machine",
        },
      );
  },
};

const TERMINAL: Check = {
  name: "terminal",
  run() {
    const { LC_ALL, LC_CTYPE, LANG, TERM, NO_COLOR } = process.env;
    if (!isTerminal(1)) return { state: "ok", text: "none (a file or pipe): no colours, no bars" };
    const colours = NO_COLOR ? "no colours (NO_COLOR)" : "colours";
    const text = `${columnsOf(1)} columns, ${colours}, TERM=${TERM ?? ""}`;
    const locale = LC_ALL || LC_CTYPE || LANG || "";
    // What bars and tables are drawn with, to be looked at.
    const signs = "→ ± − … █░";
    if (process.platform === "win32" || /utf-?8/i.test(locale)) return { state: "ok", text: `${text}, signs ${signs}` };
    return {
      state: "warning",
      text: `${text}; its encoding is not UTF-8 (${locale === "" ? "LANG is not set" : locale}), so these may look wrong: ${signs}`,
      remedy: "set LANG=C.UTF-8",
    };
  },
};
