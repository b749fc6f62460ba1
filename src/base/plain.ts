/**
 * Ends of lines inside of names. A name in a model, a file or a job may hold anything, and texts that people read name it; an end of line in it would
 * make a line of its own, as if this program had said it. Who reads names tells them here, and what is printed goes through `withPlainNames`.
 */

/** Characters beside an end of line by which it is known again. Spaces end them: lines are broken there. */
const BESIDE = 8;

/** What stands around ends of lines in names. */
const breaks = new Set<string>();

const before = (text: string, at: number): string => /\S*$/.exec(text.slice(Math.max(0, at - BESIDE), at))![0];
const after = (text: string, at: number): string => /^\S*/.exec(text.slice(at + 1, at + 1 + BESIDE))![0];

/** From now on an end of line of this name is none in what is printed. Gives the name. */
export function keepPlain(name: string): string {
  for (let at = name.indexOf("\n"); at >= 0; at = name.indexOf("\n", at + 1))
    breaks.add(`${before(name, at)}\n${after(name, at)}`);
  return name;
}

/** Forgets all names: what comes next is about others. */
export function forgetPlainNames(): void {
  breaks.clear();
}

/** JSON that people or queues give is not deeper; what is, is refused for that. */
const DEEPEST = 12;

/** The same for all texts of a JSON value: paths and names of a job list, a queue, layer settings. Gives the value. */
export function keepTextsPlain<T>(value: T, depth = 0): T {
  if (typeof value === "string") keepPlain(value);
  else if (typeof value === "object" && value !== null && depth < DEEPEST)
    for (const [name, each] of Object.entries(value)) {
      keepPlain(name);
      keepTextsPlain(each, depth + 1);
    }
  return value;
}

/** The text with a sign in the place of every end of line that belongs to a name. */
export function withPlainNames(text: string): string {
  if (breaks.size === 0 || !text.includes("\n")) return text;
  return text.replace(/\n/g, (_, at: number) => (isOfName(text, at) ? "\ufffd" : "\n"));
}

function isOfName(text: string, at: number): boolean {
  const [left, right] = [before(text, at), after(text, at)];
  for (let i = 0; i <= left.length; i++)
    for (let j = 0; j <= right.length; j++)
      if (breaks.has(`${left.slice(left.length - i)}\n${right.slice(0, j)}`)) return true;
  return false;
}
