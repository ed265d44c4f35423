/**
 * Addresses of this machine that no other can reach.
 */

/** Whether only this machine can reach a host of this name or address. */
export const isLoopback = (host: string): boolean => /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/.test(host)
