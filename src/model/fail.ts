/** Throws for damage at a path; `near` is the table whose place in the file is told. */
export type Fail = (path: string, what: string, near?: object) => never;
