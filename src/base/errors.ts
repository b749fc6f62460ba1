/**
 * The errors people see: one line that names the thing, says what is wrong and what to do.
 *
 * Anything else that is thrown is a defect of ours and is reported as such (stack traces only with --verbose).
 */
import { indented } from "./text.ts";

export interface ErrorDetails extends ErrorOptions {
  /** What the message names first: a file, as the user wrote it, or another thing. Without it, it is a part of what is worked on. */
  readonly subject?: string;
  /** A stable name of the kind, in kebab-case, for programs. */
  readonly code?: string;
}

/** Something about the model, the data or the machine is wrong. Exit code 1. */
export class MinmaxqError extends Error {
  readonly exitCode: number = 1;
  readonly code: string;
  private about: string | undefined;

  constructor(message: string, { subject, code = "failed", ...options }: ErrorDetails = {}) {
    super(message, options);
    this.name = "MinmaxqError";
    this.code = code;
    this.about = subject;
  }

  get subject(): string | undefined {
    return this.about;
  }

  /** The message where `subject` is named beside it anyway. */
  messageBeside(subject: string): string {
    return this.about === subject ? this.message.slice(`${subject}: `.length) : this.message;
  }

  /** Names what it is about, unless it says that itself: a constant is wrong, and this is its model. */
  nameSubject(subject: string): void {
    if (this.about !== undefined) return;
    this.about = subject;
    this.message = `${subject}: ${this.message}`;
  }
}

/** Something is wrong with a file: `PATH: text`. Exit code 1. */
export class FileError extends MinmaxqError {
  constructor(path: string, text: string, options: Omit<ErrorDetails, "subject"> = {}) {
    super(`${path}: ${text}`, { code: "unusable-file", ...options, subject: path });
    this.name = "FileError";
  }
}

/** The command line itself is wrong. Exit code 2. */
export class UsageError extends MinmaxqError {
  override readonly exitCode = 2;

  constructor(message: string, options: ErrorDetails = {}) {
    super(message, { code: "usage", ...options });
    this.name = "UsageError";
  }
}

/** No error: the command has printed its answer, and its exit code is part of it (`diff`). */
export class Answered extends Error {
  constructor(readonly exitCode: number) {
    super("answered");
  }
}

/** An error on its way between threads: plain data. */
export interface SentError {
  readonly message: string;
  /** Whether it is one that people are to see, not a defect of ours. */
  readonly expected: boolean;
  readonly subject?: string;
  /** That of the system, where it was the system that failed. */
  readonly code?: string;
}

/** What of an error is sent. */
export function sentError(error: unknown): SentError {
  const expected = error instanceof MinmaxqError;
  return {
    message: reasonOf(error),
    expected,
    subject: expected ? error.subject : undefined,
    code: error instanceof Error && "code" in error ? String(error.code) : undefined,
  };
}

/** The same error where it arrives. */
export function receivedError({ message, expected, subject, code }: SentError): Error {
  if (expected) return new MinmaxqError(message, { subject, code });
  return Object.assign(new Error(message), code !== undefined && { code });
}

/** Collects all problems of a kind, so that a person mends them in one go. */
export class Problems {
  readonly lines: string[] = [];

  /** `subject`: the file or thing that every line and the summary name first, if they do. */
  constructor(private readonly subject?: string) {}

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
    if (this.lines.length === 1) throw new MinmaxqError(`${this.lines[0]!}${what}`, { subject: this.subject });
    throw new MinmaxqError(`${summary}${what} (${this.lines.length}):\n${indented(this.lines)}`, {
      subject: this.subject,
    });
  }
}

/** Text of anything thrown, for messages that wrap a system error ("ENOSPC: no space left on device, write"). */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Words for what ran out, where that is no defect: memory, or the stack on a graph that is one long chain. Undefined for other errors. */
export function shortageText(error: unknown): string | undefined {
  if (!(error instanceof RangeError)) return undefined;
  if (/maximum call stack/i.test(error.message))
    return "it is nested too deep to be followed (a chain of too many operators, or brackets in brackets)";
  return /out of memory|(array|buffer|string|blob) length|invalid (array|string) length/i.test(error.message)
    ? `there is not enough memory for it (${error.message}); give the process more, or a smaller model or sample`
    : undefined;
}

const secrets = new Set<string>();

/** From now on `text` (a password) is in nothing that is printed or kept. */
export function keepSecret(text: string): void {
  // What is shorter stands in every other word.
  if (text.length >= 4) secrets.add(text);
}

/**
 * The text without credentials: those in addresses of Redis servers, and passwords that are in use. Everything that is
 * printed or kept goes through this.
 */
export function withoutSecrets(text: string): string {
  let clean = text.replace(/(rediss?:\/\/)[^\s"']*@/gi, "$1***@");
  for (const secret of secrets) clean = clean.replaceAll(secret, "***");
  return clean;
}
