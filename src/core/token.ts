/** Where the service's own token comes from. */
export type TokenSource = string | (() => string | Promise<string>);

/** What can be sent as the value of a header: visible ASCII, and spaces between. */
export const HEADER_VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
