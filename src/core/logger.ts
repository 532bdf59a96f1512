/** Where lines for a log go. `console` fits, and so do pino and winston. */
export interface Logger {
  /** Something is wrong. */
  warn(message: string): unknown;
  /** It is over. Default: `warn`. */
  info?(message: string): unknown;
}
