/** Where lines for a log go. `console` fits, and so do pino and winston. */
export interface Logger {
  /** Something is wrong. */
  warn(message: string): unknown;
  /** Something is over: the key server answers again, for example. Default: `warn`. */
  info?(message: string): unknown;
}
