/**
 * Addresses of this machine that no other can reach.
 */

/** Whether only this machine can reach a host of this name or address. */
export const isLoopback = (host: string): boolean => /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/.test(host)

/** Whether what is sent to this URL stays on this machine. */
export const isLocal = (url: string): boolean => isLoopback(URL.parse(url)?.hostname ?? "")
