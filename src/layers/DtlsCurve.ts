/**
 * X25519 of a handshake by OpenSSL in place of JavaScript: werift 0.25 computes it with `tweetnacl`, 2 ms of this thread for each handshake once it
 * is compiled and 14 ms for the first; Node needs a twentieth (21 Nov 2026, 2 vCPU: keys 1.2 → 0.06 ms, secret 0.9 → 0.09 ms).
 *
 * The two functions of `tweetnacl` that werift calls are replaced in the copy that werift loads. They give what they gave before, except that
 * a point of low order, which no honest side sends, throws (RFC 7748 §6.1).
 */
import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync } from "node:crypto"
import { createRequire } from "node:module"

export interface Curve {
  scalarMult: (secretKey: Uint8Array, publicKey: Uint8Array) => Uint8Array
  readonly box: { keyPair: () => { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array } }
}

/** What stands before the 32 bytes of a key (RFC 8410 §7, §4). */
const privatePrefix = Buffer.from("302e020100300506032b656e04220420", "hex")
const publicPrefix = Buffer.from("302a300506032b656e032100", "hex")
const keyBytes = 32

/** `false`: werift has another one, and goes on with that. */
export const useNative = (): boolean => {
  const curve = curveOfWerift()
  if (curve === undefined) return false
  curve.scalarMult = scalarMult
  curve.box.keyPair = keyPair
  return true
}

/** What both sides have in common, of one's own secret key and the other's public one. */
export const scalarMult: Curve["scalarMult"] = (secretKey, publicKey) =>
  Uint8Array.from(
    diffieHellman({
      privateKey: createPrivateKey({ key: Buffer.concat([privatePrefix, secretKey]), format: "der", type: "pkcs8" }),
      publicKey: createPublicKey({ key: Buffer.concat([publicPrefix, publicKey]), format: "der", type: "spki" })
    })
  )

/** Each key in memory of its own: werift takes the whole of it. */
export const keyPair: Curve["box"]["keyPair"] = () => {
  const { privateKey, publicKey } = generateKeyPairSync("x25519", {
    privateKeyEncoding: { format: "der", type: "pkcs8" },
    publicKeyEncoding: { format: "der", type: "spki" }
  })
  return {
    publicKey: Uint8Array.from(publicKey.subarray(-keyBytes)),
    secretKey: Uint8Array.from(privateKey.subarray(-keyBytes))
  }
}

/** Also as it was, for tests. */
export const curveOfWerift = (): Curve | undefined => {
  try {
    const loaded: unknown = createRequire(import.meta.resolve("werift"))("tweetnacl")
    return isCurve(loaded) ? loaded : undefined
  } catch {
    return undefined
  }
}

const isCurve = (loaded: unknown): loaded is Curve =>
  typeof loaded === "object" &&
  loaded !== null &&
  "scalarMult" in loaded &&
  typeof loaded.scalarMult === "function" &&
  "box" in loaded &&
  (typeof loaded.box === "object" || typeof loaded.box === "function") &&
  loaded.box !== null &&
  "keyPair" in loaded.box &&
  typeof loaded.box.keyPair === "function"
