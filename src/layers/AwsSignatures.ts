/**
 * Signature Version 4 as a server checks it: of the request that opens a stream, then of each event in it, every one signing the one before.
 * For the simulated Amazon Transcribe.
 *
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html,
 * https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-http2
 */
import { createHash, createHmac } from "node:crypto"
import type { IncomingHttpHeaders } from "node:http2"
import { encodeHeaders } from "./AwsEventStream.ts"

export interface Account {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** Checks the events of one stream, in order. */
export interface EventSignatures {
  readonly accept: (event: {
    readonly date: Date
    readonly signature: Uint8Array
    readonly body: Uint8Array
  }) => boolean
}

/** The exception a server answers with, or what checks the events that follow. */
export type Admission =
  | { readonly exception: "MissingAuthenticationToken" | "UnrecognizedClientException" | "InvalidSignatureException" }
  | { readonly events: EventSignatures }

const SERVICE = "transcribe"
/** The payload is signed event by event. */
const PAYLOAD = "STREAMING-AWS4-HMAC-SHA256-EVENTS"
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/
/** A clock may be five minutes wrong. */
const SKEW_MS = 300_000

export const admit = (headers: IncomingHttpHeaders, path: string, account: Account): Admission => {
  const [, keyId = "", day = "", region = "", service, signed = "", signature = ""] =
    AUTHORIZATION.exec(headers.authorization ?? "") ?? []
  const date = textOf(headers["x-amz-date"])
  if (signature === "") return { exception: "MissingAuthenticationToken" }
  if (keyId !== account.accessKeyId) return { exception: "UnrecognizedClientException" }
  const names = signed.split(";")
  const isWhole =
    service === SERVICE &&
    date.startsWith(day) &&
    Math.abs(Date.now() - momentOf(date)) < SKEW_MS &&
    textOf(headers["x-amz-content-sha256"]) === PAYLOAD &&
    // HTTP/2's name of it
    (names.includes("host") || names.includes(":authority")) &&
    names.includes("x-amz-date")
  const canonical = [
    "POST",
    path,
    "",
    ...names.map((name) => `${name}:${textOf(headers[name]).trim().replaceAll(/\s+/g, " ")}`),
    "",
    signed,
    PAYLOAD
  ].join("\n")
  const sign = signerOf(account, region)
  const expected = sign("AWS4-HMAC-SHA256", date, [sha256(canonical)])
  if (!isWhole || expected !== signature) return { exception: "InvalidSignatureException" }
  let prior = signature
  return {
    events: {
      accept: (event) => {
        const stamp = stampOf(event.date)
        const head = encodeHeaders({ ":date": event.date })
        prior = sign("AWS4-HMAC-SHA256-PAYLOAD", stamp, [prior, sha256(head), sha256(event.body)])
        return prior === Buffer.from(event.signature).toString("hex")
      }
    }
  }
}

const signerOf = ({ secretAccessKey }: Account, region: string) => {
  return (algorithm: string, stamp: string, parts: ReadonlyArray<string>): string => {
    const day = stamp.slice(0, 8)
    const key = [region, SERVICE, "aws4_request"].reduce(hmac, hmac(Buffer.from(`AWS4${secretAccessKey}`), day))
    const scope = `${day}/${region}/${SERVICE}/aws4_request`
    return hmac(key, [algorithm, stamp, scope, ...parts].join("\n")).toString("hex")
  }
}

const hmac = (key: Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest()
const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex")
const textOf = (value: string | ReadonlyArray<string> | undefined): string => (typeof value === "string" ? value : "")

/** `20241215T143022Z`. */
const stampOf = (date: Date): string => `${date.toISOString().replaceAll(/[-:]|\.\d+/g, "")}`
const momentOf = (stamp: string): number =>
  Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"))
