/**
 * Sends one command to Redis and resolves to its reply; `key` is the name that the command is about, for a client of a
 * cluster. For ioredis `(command) => redis.call(...command)`, for node-redis `(command) => client.sendCommand(command)`.
 */
export type SendCommand = (command: [string, ...string[]], key: string) => Promise<unknown>;
