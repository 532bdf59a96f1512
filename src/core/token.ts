/** Where the service's own token comes from. */
export type TokenSource = string | (() => string | Promise<string>);
