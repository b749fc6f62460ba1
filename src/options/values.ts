/** Types of the options' values, as the rows' parsers give them: there is no second list of them. */
import type { OPTIONS, OptionName } from "./table.ts";

type Row<Name extends OptionName> = (typeof OPTIONS)[Name];

/** What a parser gives; a text where there is none; `true` of an option without a value. */
type Parsed<R> = R extends { readonly parse: (text: string, before: never) => infer Value }
  ? Value
  : R extends { readonly flags: `${string}<${string}` }
    ? string
    : boolean;

/** Options that always have a value. */
type Certain = {
  [Name in OptionName]: Row<Name> extends { readonly required: true } | { readonly default: unknown } ? Name : never;
}[OptionName];

/** Values of the options as commands see them. */
export type OptionValues = { [Name in Certain]: Parsed<Row<Name>> } & {
  [Name in Exclude<OptionName, Certain>]?: Parsed<Row<Name>>;
};

/** Options of the command line as they were written; an option without a value is `true`. */
export type Given = ReadonlyMap<OptionName, readonly (string | true)[]>;
