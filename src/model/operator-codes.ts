/** Operator codes: the two numbers in the file, the one in memory, and names for people. */
import { BuiltinOperator, DIALECTS, type Dialect, type Model, nameOf, type Operator } from "./schema.gen.ts";

/** In deprecated_builtin_code: "the code is in builtin_code". */
const SEE_BUILTIN_CODE = 127;

/**
 * The operator that an OperatorCode of a file means, or what is wrong with it.
 *
 * Files older than builtin_code have 0 there. TFLite takes the larger of the two numbers. Circle has codes below 0,
 * so it takes builtin_code only where deprecated_builtin_code says so by being 127.
 */
export function resolveOperatorCode(
  fields: { deprecatedBuiltinCode?: number; builtinCode?: number },
  dialect: Dialect,
): BuiltinOperator | string {
  const { deprecatedBuiltinCode: deprecated = 0, builtinCode: builtin = 0 } = fields;
  const code =
    dialect === "tflite" ? Math.max(deprecated, builtin) : deprecated === SEE_BUILTIN_CODE ? builtin : deprecated;
  const numbers = `operator ${code} (deprecated_builtin_code ${deprecated}, builtin_code ${builtin})`;
  if (dialect === "circle" && deprecated === SEE_BUILTIN_CODE && builtin < SEE_BUILTIN_CODE) {
    return `${numbers} is not valid; the file is damaged; copy or export it again`;
  }
  const { BuiltinOperator: known } = DIALECTS[dialect].enums;
  if (!Object.values(known!).includes(code)) {
    return `${numbers} is none of the ${dialect} schema's; the file is damaged, or made for a newer schema`;
  }
  return code as BuiltinOperator;
}

/** The number for deprecated_builtin_code. */
export function deprecatedCode(code: number): number {
  return Math.min(code, SEE_BUILTIN_CODE);
}

/** "CONV_2D", or "CUSTOM:Name" for custom operators. */
export function operatorName(model: Model, operator: Operator): string {
  const code = model.operatorCodes?.[operator.opcodeIndex ?? 0];
  const name = nameOf(BuiltinOperator, code?.builtinCode ?? 0);
  return code?.builtinCode === BuiltinOperator.CUSTOM ? `CUSTOM:${code.customCode ?? ""}` : name;
}
