/** The builder of small models, shared with other tests. */
export { GraphBuilder, ModelBuilder, model } from "../helpers/models.ts";
