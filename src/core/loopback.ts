const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Whether the host of a URL is this machine. `localhost` alone: what stands before it, the resolver decides. */
export const isLoopback = (hostname: string): boolean => LOOPBACK.test(hostname);
