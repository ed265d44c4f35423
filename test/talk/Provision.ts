/**
 * What the proof needs on a bare Debian 12: its own packages, and binaries of the HPB in three generations, fetched by apt
 * with a private state under `.cache` (nothing of them is installed, the system's package lists stay as they are).
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { run } from "./Processes.ts"
import { failure, type ProofError } from "./ProofError.ts"

/** 2: what production runs. 1.2: refuses captions without a room type. 0.4: Debian 12's own. */
export const generations = ["2", "1.2", "0.4"] as const
export type Generation = (typeof generations)[number]

export interface Hpb {
  readonly generation: Generation
  readonly version: string
  readonly path: string
}

const needed = [
  { file: "/usr/bin/janus", package: "janus" },
  { file: "/usr/bin/chromium", package: "chromium" },
  { file: "/usr/bin/turnserver", package: "coturn" },
  { file: "/usr/sbin/ip", package: "iproute2" },
  { file: "/usr/bin/openssl", package: "openssl" },
  { file: "/usr/bin/tcpdump", package: "tcpdump" }
]

/** Installs Debian packages that are missing. */
export const packages: Effect.Effect<void, ProofError> = Effect.gen(function* () {
  const missing = needed.filter(({ file }) => !existsSync(file)).map((one) => one.package)
  if (missing.length === 0) return
  console.log(`installing ${missing.join(" ")}`)
  yield* run("apt-get", ["update", "-qq"])
  yield* run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing])
})

const PACKAGE = "nextcloud-spreed-signaling"
/** Tried from the newest on, as far as the binary runs here (it is linked against little more than glibc). */
const wanted: Record<Generation, { readonly suites: ReadonlyArray<string>; readonly version: RegExp }> = {
  "2": { suites: ["sid", "testing", "trixie-backports"], version: /^([2-9]|\d\d)\./ },
  "1.2": { suites: ["bookworm-backports"], version: /^1\.2\./ },
  "0.4": { suites: ["bookworm"], version: /^0\.4\./ }
}

/** The archive's address is taken from this machine's own sources. */
const archive = (): string => {
  const deb822 = "/etc/apt/sources.list.d/debian.sources"
  const lines = existsSync(deb822) ? readFileSync(deb822, "utf8") : readFileSync("/etc/apt/sources.list", "utf8")
  const found = /^(?:URIs:\s*|deb\s+(?:\[[^\]]*\]\s+)?)(https?:\/\/\S*debian\/?)(?=\s|$)/m.exec(lines)
  return found?.[1] ?? "http://deb.debian.org/debian"
}

const privateApt = (root: string) => {
  const apt = join(root, "apt")
  for (const folder of ["parts", "lists/partial", "cache/archives/partial"]) {
    mkdirSync(join(apt, folder), { recursive: true })
  }
  writeFileSync(join(apt, "status"), "")
  const suites = [...new Set(Object.values(wanted).flatMap((one) => one.suites))]
  // One entry per suite: a suite the archive does not hold (any more) must not hide the others.
  writeFileSync(
    join(apt, "parts/debian.sources"),
    suites
      .map(
        (suite) =>
          `Types: deb\nURIs: ${archive()}\nSuites: ${suite}\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n`
      )
      .join("\n")
  )
  const options = [
    "Dir::Etc::sourcelist=/dev/null",
    `Dir::Etc::sourceparts=${apt}/parts`,
    `Dir::State::lists=${apt}/lists`,
    `Dir::Cache=${apt}/cache`,
    `Dir::State::status=${apt}/status`,
    "APT::Sandbox::User=root"
  ].flatMap((option) => ["-o", option])
  return {
    apt,
    get: (...args: Array<string>) => run("apt-get", [...options, ...args], { cwd: apt }),
    cache: (...args: Array<string>) => run("apt-cache", [...options, ...args], { cwd: apt })
  }
}

/** `package | version | address suite/main amd64 Packages`, newest first. */
const offered = (madison: string, generation: Generation): ReadonlyArray<string> => [
  ...new Set(
    madison.split("\n").flatMap((line) => {
      const [, version, where] = line.split("|").map((part) => part.trim())
      const suite = where?.split(" ")[1]?.split("/")[0]
      const { suites, version: pattern } = wanted[generation]
      return version !== undefined && suite !== undefined && suites.includes(suite) && pattern.test(version)
        ? [version]
        : []
    })
  )
]

const download = (root: string, generation: Generation, madison: string) =>
  Effect.gen(function* () {
    const { apt, get } = privateApt(root)
    for (const version of offered(madison, generation)) {
      const unpacked = join(apt, "unpacked")
      const path = join(root, `hpb-${generation}`)
      const runs = yield* Effect.gen(function* () {
        yield* get("download", "-qq", `${PACKAGE}=${version}`)
        const file = `${PACKAGE}_${version.replaceAll(":", "%3a")}_${(yield* run("dpkg", ["--print-architecture"])).trim()}.deb`
        yield* run("dpkg-deb", ["-x", file, unpacked], { cwd: apt })
        yield* run("cp", [join(unpacked, "usr/bin/nextcloud-spreed-signaling-server"), path])
        yield* run(path, ["-version"])
      }).pipe(Effect.result)
      rmSync(unpacked, { recursive: true, force: true })
      if (runs._tag === "Success") {
        writeFileSync(`${path}.version`, version)
        return
      }
      console.log(`HPB ${version} is of no use here: ${runs.failure.message.slice(0, 200)}`)
    }
  })

const kept = (root: string, generation: Generation): Hpb | undefined => {
  const path = join(root, `hpb-${generation}`)
  return existsSync(`${path}.version`)
    ? { generation, path, version: readFileSync(`${path}.version`, "utf8").trim() }
    : undefined
}

/** Binaries of the HPB under `root`; without one of generation 2 there is no proof, the others may be missing. */
export const hpbs = (root: string): Effect.Effect<ReadonlyArray<Hpb>, ProofError> =>
  Effect.gen(function* () {
    mkdirSync(root, { recursive: true })
    const missing = generations.filter((one) => kept(root, one) === undefined)
    if (missing.length > 0) {
      console.log(`fetching HPB ${missing.join(", ")}`)
      const { cache, get } = privateApt(root)
      // A missing suite makes `update` fail, the lists of the others are there all the same.
      yield* Effect.ignore(get("update", "-qq"))
      const madison = yield* cache("madison", PACKAGE)
      yield* Effect.forEach(missing, (one) => download(root, one, madison), { discard: true })
    }
    const found = generations.flatMap((one) => kept(root, one) ?? [])
    for (const one of generations) {
      if (!found.some((hpb) => hpb.generation === one))
        console.log(`!!! no HPB ${one} in the archive: its scenarios are skipped`)
    }
    if (!found.some((one) => one.generation === "2"))
      return yield* failure("the archive offers no HPB >= 2.0 that runs here")
    return found
  })
