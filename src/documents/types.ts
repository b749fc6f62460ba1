/** Ties schemas to the types of what they describe. */
import type { z } from "zod";

type Read<T> = T extends readonly (infer E)[]
  ? readonly Read<E>[]
  : T extends object
    ? { readonly [Key in keyof T]: Read<T[Key]> }
    : T;

/**
 * The schema, where it takes every value of a type: `describing<Report>()(z.object(…))`. A member that it demands and the type lacks, or has
 * otherwise, is an error of the compiler; one that it does not know is found by the tests, which run every command.
 */
export function describing<T>() {
  return <S extends z.ZodType>(
    schema: S & ([T] extends [Read<z.output<S>>] ? unknown : "does not take every value of the type"),
  ): S => schema;
}
