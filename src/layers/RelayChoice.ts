/**
 * Which relay a peer may use: werift takes one STUN server and one TURN server, Talk's settings often name the same relay by UDP, TCP and TLS.
 *
 * UDP comes first, as it neither waits for what is lost nor shares one stream with all packets behind it; then TCP, then TLS; within each
 * in the order given. A relay that gave no address when a peer asked (blocked, down, credentials refused) is passed over for a while, by
 * everybody's peers.
 */
import type { IceServer } from "../domain/Call.ts"

export interface Chosen {
  /** All STUN servers and one relay. */
  readonly servers: ReadonlyArray<IceServer>
  /** The relay's URL. */
  readonly relay: string | undefined
}

export interface RelayChoice {
  readonly choose: (servers: ReadonlyArray<IceServer>, nowMs: number) => Chosen
  /** What came of it: whether the relay gave an address. */
  readonly tried: (relay: string, gave: boolean, nowMs: number) => void
}

/** A network that blocks UDP today still does in a minute; a relay that was restarted is back long before. */
const passedOverMs = 600_000
/** Settings may change as often as they like. */
const remembered = 100

/** Makes the choice of all peers: what one found out spares the others the time. */
export const make = (): RelayChoice => {
  /** When it failed, oldest first. */
  const failed = new Map<string, number>()
  const failedMs = (url: string, nowMs: number): number => {
    const atMs = failed.get(url)
    return atMs === undefined || nowMs - atMs >= passedOverMs ? Number.NEGATIVE_INFINITY : atMs
  }

  return {
    choose: (servers, nowMs) => {
      const stun = servers.flatMap((server) => {
        const urls = server.urls.filter(isStun)
        return urls.length === 0 ? [] : [{ urls }]
      })
      const relays = servers
        .filter(({ credential, username }) => credential !== undefined && username !== undefined)
        .flatMap((server) => server.urls.map((url) => ({ ...server, urls: [url], url, rank: rankOf(url) })))
        .filter(({ rank }) => rank !== undefined)
        // Sorting keeps the given order of equals.
        .sort((a, b) => failedMs(a.url, nowMs) - failedMs(b.url, nowMs) || (a.rank ?? 0) - (b.rank ?? 0))
      const [best] = relays
      if (best === undefined) return { servers: stun, relay: undefined }
      const { rank: _, url, ...relay } = best
      return { servers: [...stun, relay], relay: url }
    },
    tried: (relay, gave, nowMs) => {
      failed.delete(relay)
      if (gave) return
      failed.set(relay, nowMs)
      for (const oldest of failed.keys()) {
        if (failed.size <= remembered) break
        failed.delete(oldest)
      }
    }
  }
}

const isStun = (url: string): boolean => /^stun:/i.test(url)

/** `undefined`: nothing werift can use. */
const rankOf = (url: string): number | undefined => {
  const isTls = /^turns:/i.test(url)
  if (!isTls && !/^turn:/i.test(url)) return undefined
  const transport = /[?&]transport=(\w+)/i.exec(url)?.[1]?.toLowerCase()
  if (isTls) return transport === undefined || transport === "tcp" ? 2 : undefined
  if (transport === undefined || transport === "udp") return 0
  return transport === "tcp" ? 1 : undefined
}
