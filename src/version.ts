/** The version of this package, as published. The `version` script keeps it. */
export const VERSION = '0.0.0';
