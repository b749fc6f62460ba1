/** What errors are about, and that they are the same after a journey between threads. */
import { describe, expect, test } from "bun:test";
import { FileError, MinmaxqError, Problems, receivedError, sentError, UsageError } from "../../src/base/errors.ts";
import { about } from "../../src/driver/about.ts";

async function thrownBy(error: unknown): Promise<Error> {
  return about("model.tflite", () => {
    throw error;
  }).then(
    () => new Error("nothing was thrown"),
    (thrown: Error) => thrown,
  );
}

describe("an error inside work on a model", () => {
  test("names the model when it names nothing itself, once", async () => {
    const error = new MinmaxqError('constant "w" has NaN');
    expect((await thrownBy(error)).message).toBe('model.tflite: constant "w" has NaN');
    expect((await thrownBy(error)).message).toBe('model.tflite: constant "w" has NaN');
    expect(error.subject).toBe("model.tflite");
    expect(error.messageBeside("model.tflite")).toBe('constant "w" has NaN');
    expect(error.messageBeside("model")).toBe(error.message);
  });

  test("stays as it is when it is about a file, whatever the file is called", async () => {
    for (const path of ["samples.npz", "model.tflite", "elsewhere/model.tflite.npy"])
      expect((await thrownBy(new FileError(path, "is truncated"))).message).toBe(`${path}: is truncated`);
    const problems = new Problems("layers.json");
    problems.add("layers.json: layers[0].dtype: is wrong");
    const thrown = await thrownBy(caught(() => problems.throwIfAny("layers.json: is no valid file")));
    expect(thrown.message).toBe("layers.json: layers[0].dtype: is wrong");
  });

  test("names the model although the text begins like its name", async () => {
    const thrown = await thrownBy(new MinmaxqError("model.tflite_conv: is no good"));
    expect(thrown.message).toBe("model.tflite: model.tflite_conv: is no good");
  });

  test("stays as it is when it is about the command line, or a defect", async () => {
    expect((await thrownBy(new UsageError("--mode: is wrong"))).message).toBe("--mode: is wrong");
    expect((await thrownBy(new Error("oops"))).message).toBe("oops");
  });
});

function caught(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("an error that was sent from a thread", () => {
  const journey = (error: unknown) => receivedError(structuredClone(sentError(error)));

  test("is expected or a defect as before, about the same thing, with its code", () => {
    const file = journey(new FileError("a.npy", "is truncated", { code: "damaged-file" }));
    expect(file).toBeInstanceOf(MinmaxqError);
    expect(file).toMatchObject({ message: "a.npy: is truncated", subject: "a.npy", code: "damaged-file" });
    const part = journey(new MinmaxqError('constant "w" has NaN')) as MinmaxqError;
    expect(part.subject).toBeUndefined();
    const defect = journey(new TypeError("x is undefined"));
    expect(defect).not.toBeInstanceOf(MinmaxqError);
    expect(defect.message).toBe("x is undefined");
  });

  test("has the system's code", () => {
    const full = journey(Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" }));
    expect(full).not.toBeInstanceOf(MinmaxqError);
    expect(full).toMatchObject({ message: "ENOSPC: no space left on device, write", code: "ENOSPC" });
  });
});
