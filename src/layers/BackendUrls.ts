/**
 * Addresses: which websocket the HPB listens on, and by which name it may know the Nextcloud server we work for.
 */

/** Where names of the Nextcloud server may come from; empty means absent. */
export interface BackendSources {
  /** LT_BACKEND_URL: an admin who sets it means it, nothing else is tried. */
  readonly configured?: string | undefined
  /** AppAPI's answer to the question for Nextcloud's absolute URL. */
  readonly absoluteUrl?: string | undefined
  /** NEXTCLOUD_URL: AppAPI hands out `http` also where the HPB only knows `https`. */
  readonly nextcloudUrl?: string | undefined
  readonly hpbUrl?: string | undefined
}

/**
 * Names of the Nextcloud server in the order in which they are tried as `backend` of the hello: bare base URLs, since the HPB appends
 * its own paths, without duplicates. Texts that are no http(s) URL are left out.
 */
export const backendCandidates = (sources: BackendSources): ReadonlyArray<string> => {
  if (sources.configured !== undefined && sources.configured.trim() !== "") {
    const configured = baseUrl(sources.configured)
    return configured === undefined ? [] : [configured]
  }
  const nextcloud = baseUrl(sources.nextcloudUrl)
  return [
    ...new Set(
      [
        baseUrl(sources.absoluteUrl),
        nextcloud?.replace(/^http:/, "https:"),
        nextcloud?.replace(/^https:/, "http:"),
        originOf(sources.hpbUrl)
      ].filter((url) => url !== undefined)
    )
  ]
}

/** The HPB's websocket: any form of its address (http or ws, with or without `/spreed` and slashes) and any path prefix. */
export const hpbSocketUrl = (hpbUrl: string): string => {
  const trimmed = hpbUrl
    .trim()
    .replace(/^http:/i, "ws:")
    .replace(/^https:/i, "wss:")
    .replace(/\/+$/, "")
  const addressed = /^wss?:\/\//i.test(trimmed) ? trimmed : `wss://${trimmed}`
  return addressed.endsWith("/spreed") ? addressed : `${addressed}/spreed`
}

/** Without `/index.php`, the long form `/ocs/…` some configurations carry, query and slashes; the HPB compares host names in small letters. */
const baseUrl = (text: string | undefined): string | undefined => {
  const url = httpUrl(text)
  if (url === undefined) return undefined
  const path = url.pathname.replace(/\/(index\.php|status\.php|ocs\/v[12]\.php)(\/.*)?$/, "").replace(/\/+$/, "")
  return `${url.origin}${path}/`
}

const originOf = (hpbUrl: string | undefined): string | undefined => {
  const url = httpUrl(hpbUrl?.trim().replace(/^ws(?=s?:)/i, "http"))
  return url === undefined ? undefined : `${url.origin}/`
}

/** An address without a scheme is meant as https. */
const httpUrl = (text: string | undefined): URL | undefined => {
  const trimmed = text?.trim() ?? ""
  if (trimmed === "") return undefined
  const url = URL.parse(trimmed.includes("://") ? trimmed : `https://${trimmed}`)
  return url !== null && /^https?:$/.test(url.protocol) ? url : undefined
}
