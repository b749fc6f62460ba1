/** Errors about a part of a model ("constant w has NaN") say which model it is. */
import { MinmaxqError, UsageError } from "../base/errors.ts";

/** Errors that need no model's name. */
const clear = new WeakSet<object>();

/** Runs `work`, whose errors are about something else (sample data) and stay as they are. */
export async function notAbout<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error) clear.add(error);
    throw error;
  }
}

/**
 * Runs `work`; puts the model's name before its errors, except such that name one of `others` (data files) already. Errors
 * about what is written come with the output's name (src/model/write.ts), but it is the model that is wrong.
 */
export async function about<T>(
  model: string,
  work: () => T | Promise<T>,
  ...others: readonly (string | undefined)[]
): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const error = thrown instanceof MinmaxqError && thrown.cause instanceof MinmaxqError ? thrown.cause : thrown;
    const expected = error instanceof MinmaxqError && !(error instanceof UsageError) && !clear.has(error);
    if (expected && ![model, ...others].some((name) => name !== undefined && error.message.startsWith(name)))
      error.message = `${model}: ${error.message}`;
    throw error;
  }
}
