/**
 * The errors people see: one line that names the thing, says what is wrong and what to do.
 *
 * Anything else that is thrown is a defect of ours and is reported as such (stack traces only with --verbose).
 */

/** Something about the model, the data or the machine is wrong. Exit code 1. */
export class MinmaxqError extends Error {
  readonly exitCode: number = 1;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "MinmaxqError";
  }
}

/** The command line itself is wrong. Exit code 2. */
export class UsageError extends MinmaxqError {
  override readonly exitCode = 2;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UsageError";
  }
}

/** Collects all problems of a kind, so that a person mends them in one go. */
export class Problems {
  readonly lines: string[] = [];

  add(line: string): void {
    if (!this.lines.includes(line)) this.lines.push(line);
  }

  /**
   * Throws one error for everything collected; does nothing when there is nothing.
   * A single problem stands alone, followed by `remedy`; several are listed below `summary` and `remedy`.
   */
  throwIfAny(summary: string, remedy = ""): void {
    if (this.lines.length === 0) return;
    const what = remedy && `; ${remedy}`;
    if (this.lines.length === 1) throw new MinmaxqError(`${this.lines[0]!}${what}`);
    const list = this.lines.map((line) => `  ${line}`).join("\n");
    throw new MinmaxqError(`${summary}${what} (${this.lines.length}):\n${list}`);
  }
}

/** Text of anything thrown, for messages that wrap a system error ("ENOSPC: no space left on device, write"). */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const secrets = new Set<string>();

/** From now on `text` (a password) is in nothing that is printed or kept. */
export function keepSecret(text: string): void {
  // What is shorter stands in every other word.
  if (text.length >= 4) secrets.add(text);
}

/**
 * The text without credentials: those in addresses of Redis servers, and passwords that are in use. Everything that is
 * printed or kept goes through this, whoever wrote it.
 */
export function withoutSecrets(text: string): string {
  let clean = text.replace(/(rediss?:\/\/)[^\s"']*@/gi, "$1***@");
  for (const secret of secrets) clean = clean.replaceAll(secret, "***");
  return clean;
}
