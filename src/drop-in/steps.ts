/** Fronts that a front calls, as ONE's driver scripts call its tools: same bits by construction. */
import { MinmaxqError, reasonOf, UsageError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { removeTemporary, temporaryPath } from "../base/temporary.ts";

/** A front as it is called. */
export type Tool = (words: readonly string[], output: Output) => Promise<void>;

/** The tools that are called, what they say, and the files between them. */
export class Steps {
  /** Hidden models between steps by path: what the log calls them, and the model that they come from. */
  private readonly hidden = new Map<string, { readonly shown: string; readonly input: string }>();

  constructor(
    private readonly output: Output,
    private readonly log: string[] = [],
  ) {}

  /** Where a model between steps is written: to its name, or to a hidden file that is removed at the end, also by a signal. */
  place(path: string, keep: boolean, input: string): string {
    if (keep) return path;
    const place = temporaryPath(path);
    this.hidden.set(place, { shown: path, input });
    return place;
  }

  /** Removes what is not kept. */
  close(): void {
    for (const path of this.hidden.keys()) removeTemporary(path);
    this.hidden.clear();
  }

  /** Calls a front; what it says is noted, and hidden files have the model's name. Throws what it throws. */
  async call(tool: string, words: readonly string[], run: Tool): Promise<void> {
    const note = (line: string) => this.log.push(this.named(line, "shown"));
    note([tool, ...words].join(" "));
    const said = (say: (line: string) => void) => (line: string) => {
      note(line);
      say(this.named(line, "input"));
    };
    const { print, tell, progress } = this.output;
    try {
      await run(words, { print: said(print), tell: said(tell), progress });
    } catch (error) {
      note(reasonOf(error));
      throw error instanceof UsageError || !(error instanceof MinmaxqError) ? error : this.ofInput(error);
    }
  }

  /** A text in which no hidden file is named: people know of the model alone, the log tells the steps' files apart. */
  private named(text: string, as: "shown" | "input"): string {
    return [...this.hidden].reduce((all, [path, names]) => all.replaceAll(path, names[as]), text);
  }

  private ofInput(error: MinmaxqError): MinmaxqError {
    const message = this.named(error.message, "input");
    return message === error.message ? error : new MinmaxqError(message, { code: error.code, cause: error });
  }
}
