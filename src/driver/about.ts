/** Errors about a part of a model ("constant w has NaN") say which model it is. */
import { MinmaxqError, UsageError } from "../base/errors.ts";

/** Runs `work`; puts the model's name before errors that do not say what they are about. Errors about files (data, settings) do. */
export async function about<T>(model: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof MinmaxqError && !(error instanceof UsageError)) error.nameSubject(model);
    throw error;
  }
}
