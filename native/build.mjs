/**
 * Makes `build/parlance.node` of the sources here and of libopus, which comes as source with `@discordjs/opus`. Runs when the package is
 * installed, offline, in about 10 s; does nothing where nothing changed. Where it cannot be made one line says why, and installation goes
 * on: everything the addon does is done without it as well, at a higher price.
 */
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { createRequire } from "node:module"
import { availableParallelism, tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { fasterSource } from "./faster.mjs"
import { libopusSources } from "./libopus.mjs"

const here = dirname(fileURLToPath(import.meta.url))
const target = join(here, "build/parlance.node")
/** What `target` was made of. */
const stampFile = join(here, "build/stamp")
const run = promisify(execFile)
const require = createRequire(import.meta.url)

/** Nothing here is wrong, it just cannot be made on this machine. */
class Impossible extends Error {}

const compiler = process.env.CC ?? "cc"

/** As Debian hardens what reads from the network; measured, it costs nothing here. */
const hardened = ["-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", "-Wformat", "-Werror=format-security"]
/** libopus neither reads errno nor traps: without these two every rounding would be a call. */
const fast = [
  "-O3",
  "-flto=auto",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-fvisibility=hidden",
  "-ffunction-sections"
]
const common = [...fast, ...hardened, "-fPIC", "-DNDEBUG"]
/** `nodelete`: a thread of ours may outlive the worker that loaded it. */
const linked = ["-shared", "-Wl,-z,relro,-z,now,-z,nodelete", "-Wl,--gc-sections", "-Wl,-Bsymbolic"]

const folderOf = (packageName) => {
  try {
    return dirname(require.resolve(`${packageName}/package.json`))
  } catch {
    return undefined
  }
}

const nodeHeaders = () => {
  const packaged = folderOf("node-api-headers")
  const folders = [
    ...(packaged === undefined ? [] : [join(packaged, "include")]),
    // Beside Node itself, where it was installed with them.
    join(dirname(process.execPath), "../include/node")
  ]
  const found = folders.find((folder) => existsSync(join(folder, "node_api.h")))
  if (found === undefined) throw new Impossible("there are no headers of Node-API")
  return found
}

const libopus = () => {
  const packaged = folderOf("@discordjs/opus")
  const folder = packaged === undefined ? undefined : join(packaged, "deps/opus")
  if (folder === undefined || !existsSync(join(folder, "src/opus_decoder.c"))) {
    throw new Impossible("there is no source of libopus (@discordjs/opus)")
  }
  return folder
}

const versionOf = (folder) => {
  const [, version = "unknown"] =
    /PACKAGE_VERSION="(.*)"/.exec(readFileSync(join(folder, "package_version"), "utf8")) ?? []
  return version
}

/** The steps: { file, text: what is compiled instead of it, flags }. */
const steps = () => {
  const opus = libopus()
  const headers = nodeHeaders()
  const opusFlags = [
    ...["", "include", "celt", "silk"].map((folder) => `-I${join(opus, folder)}`),
    `-I${here}`,
    ...["OPUS_BUILD", "VAR_ARRAYS", "HAVE_LRINT", "HAVE_LRINTF", `PACKAGE_VERSION="${versionOf(opus)}"`].map(
      (d) => `-D${d}`
    ),
    // Others' code, whose warnings are not ours.
    "-w"
  ]
  const ownFlags = ["-Wall", "-Wextra", `-I${headers}`, `-I${join(opus, "include")}`]
  const own = readdirSync(here).filter((file) => file.endsWith(".c"))
  return [
    ...libopusSources.map((name) => {
      const file = join(opus, name)
      return { file, text: fasterSource(name, readFileSync(file, "utf8")), flags: opusFlags }
    }),
    ...own.map((name) => ({ file: join(here, name), text: undefined, flags: ownFlags }))
  ]
}

const stampOf = async (all) => {
  const { stdout } = await run(compiler, ["--version"]).catch(() => {
    throw new Impossible(`there is no C compiler (${compiler})`)
  })
  const hash = createHash("sha256").update([process.platform, process.arch, stdout, ...common, ...linked].join("\n"))
  for (const file of readdirSync(here, { withFileTypes: true })) {
    if (file.isFile()) hash.update(file.name).update(readFileSync(join(here, file.name)))
  }
  for (const { file, flags } of all) hash.update([file, ...flags].join("\n")).update(readFileSync(file))
  return hash.digest("hex")
}

const compile = async (all, folder) => {
  const waiting = [...all.entries()]
  const worker = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [n, { file, flags, text }] = next
      const source = text === undefined ? file : join(folder, `${n}.c`)
      if (text !== undefined) writeFileSync(source, text)
      await run(compiler, [...common, ...flags, "-c", source, "-o", join(folder, `${n}.o`)])
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  const objects = all.map((_, n) => join(folder, `${n}.o`))
  const made = join(folder, "parlance.node")
  await run(compiler, [...common, ...linked, ...objects, "-lm", "-ldl", "-pthread", "-o", made])
  return made
}

const build = async () => {
  if (process.platform !== "linux") throw new Impossible(`it is made for Linux only, this is ${process.platform}`)
  const all = steps()
  const stamp = await stampOf(all)
  if (existsSync(target) && existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return
  const work = mkdtempSync(join(tmpdir(), "parlance-native-"))
  try {
    const made = await compile(all, work)
    // A process of its own, as a binary that does not fit may end it.
    await run(process.execPath, ["-e", "if (!require(process.argv[1]).opus) process.exit(1)", made])
    mkdirSync(dirname(target), { recursive: true })
    // Whoever has the old one open keeps it: renaming, unlike writing, does not change a file under its reader.
    const fresh = join(dirname(target), `parlance.${process.pid}`)
    writeFileSync(fresh, readFileSync(made), { mode: 0o755 })
    renameSync(fresh, target)
    writeFileSync(stampFile, stamp)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

await build().catch((cause) => {
  // What was made of something else before would be worse than nothing.
  rmSync(target, { force: true })
  const reason = cause instanceof Impossible ? cause.message : `it cannot be built: ${firstLine(cause)}`
  process.stdout.write(`no native addon (${reason}): packets are opened and decoded without it, which costs more\n`)
})

function firstLine(cause) {
  const text = String(cause?.stderr || cause?.message || cause)
  return text.split("\n").find((line) => /error|cannot|fatal/i.test(line)) ?? text.split("\n", 1)[0]
}
