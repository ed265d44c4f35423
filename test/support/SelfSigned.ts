/**
 * Certificates made for a test by openssl; nobody else trusts them.
 */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"

export interface SelfSigned {
  readonly certificate: string
  readonly key: string
  /** To trust it by. */
  readonly ca: string
}

/** For localhost and 127.0.0.1, as files in the folder. */
export const selfSigned = (
  folder: string,
  name: string,
  more: ReadonlyArray<string> = ["-noenc"],
  key: ReadonlyArray<string> = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
): SelfSigned => {
  const [certificate, keyPath] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)]
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2"]
  execFileSync(
    "openssl",
    ["req", "-x509", "-newkey", ...key, ...subject, "-out", certificate, "-keyout", keyPath, ...more],
    {
      stdio: "ignore"
    }
  )
  return { certificate, key: keyPath, ca: readFileSync(certificate, "utf8") }
}
