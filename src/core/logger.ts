/** Where warnings go. `console` fits, and so do pino and winston. */
export interface Logger {
  warn(message: string): unknown;
}
