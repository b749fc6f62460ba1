/** float32's largest finite number. */
export const FLT_MAX = 3.4028234663852886e38;
