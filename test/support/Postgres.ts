/**
 * A real PostgreSQL of a test's own, from Debian's package: in a folder of its own, on a free port of the loopback, gone with the scope, and with
 * the test's process, also when it was frozen.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import * as LeftBehind from "./LeftBehind.ts"
import { freePort } from "./ServiceProcess.ts"

export interface Postgres {
  /** With a password that is asked for. */
  readonly url: Redacted.Redacted
  readonly port: number
  /** Returns when it takes connections. */
  readonly start: Effect.Effect<void>
  /** As `systemctl stop` does: whoever is connected is cut off. */
  readonly stop: Effect.Effect<void>
  /** SIGKILL to all of it. */
  readonly kill: Effect.Effect<void>
  /** SIGSTOP to all of it: it holds its connections, and takes new ones into the queue of the system, but says nothing. */
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
  /** A database that nobody has used yet. */
  readonly fresh: Effect.Effect<Redacted.Redacted>
  /** A statement by the superuser, past everything that is tested: its rows, with tabs between the values. */
  readonly query: (statement: string) => Effect.Effect<string>
}

export const PASSWORD = "not-to-be-logged"
const BINARIES = "/usr/lib/postgresql"
/** No test of ours is about what outlives a power cut of the database: the cheapest disk. */
const SETTINGS = ["fsync=off", "shared_buffers=16MB", "listen_addresses=127.0.0.1", "max_connections=100"]

/** Running. */
export const postgres: Effect.Effect<Postgres, never, Scope.Scope> = Effect.gen(function* () {
  const root = mkdtempSync(join(tmpdir(), "parlance-postgres-"))
  const data = join(root, "data")
  const owner = process.getuid?.() === 0 ? ownerOf("postgres") : undefined
  if (owner !== undefined) chownSync(root, owner.uid, owner.gid)
  const password = join(root, "password")
  writeFileSync(password, PASSWORD, { mode: 0o644 })
  const port = yield* freePort
  let server: ChildProcess | undefined
  let leftBehind: ReturnType<typeof LeftBehind.watch> | undefined
  let databases = 0

  const signalAll = (signal: NodeJS.Signals) => {
    const pid = server?.pid
    if (pid === undefined) return
    // the parent first: it would replace children that end, and take stopped ones for dead
    for (const each of [pid, ...childrenOf(pid)]) {
      try {
        process.kill(each, signal)
      } catch {
        // gone meanwhile
      }
    }
  }
  const gone = Effect.promise(
    () =>
      new Promise<void>((resolve) => {
        const leaving = server
        server = undefined
        const isGone = () => {
          leftBehind?.release()
          resolve()
        }
        if (leaving === undefined || leaving.exitCode !== null || leaving.signalCode !== null) isGone()
        else leaving.once("exit", isGone)
      })
  )
  const end = (signal: NodeJS.Signals) =>
    Effect.suspend(() => {
      // who stands still hears of nothing but its end by force
      signalAll("SIGCONT")
      if (signal === "SIGKILL") signalAll(signal)
      else server?.kill(signal)
      return gone
    })
  const run = (binary: string, args: ReadonlyArray<string>) =>
    execFileSync(join(binaries(), binary), args, {
      ...owner,
      cwd: root,
      env: { PGPASSWORD: PASSWORD, LC_ALL: "C.UTF-8" },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"]
    })
  const query = (statement: string) =>
    Effect.sync(() =>
      run("psql", [
        "-h",
        root,
        "-p",
        String(port),
        "-U",
        "parlance",
        "-d",
        "postgres",
        "-XAtqF\t",
        "-c",
        statement
      ]).trim()
    )
  const isReady = () => {
    try {
      run("pg_isready", ["-q", "-h", root, "-p", String(port)])
      return true
    } catch {
      return false
    }
  }
  const start = Effect.suspend(() => {
    const args = ["-D", data, "-p", String(port), "-k", root, ...SETTINGS.flatMap((setting) => ["-c", setting])]
    server = spawn(join(binaries(), "postgres"), args, { ...owner, cwd: root, stdio: "ignore" })
    leftBehind = LeftBehind.watch(server.pid ?? 0, root)
    return Effect.sleep("30 millis").pipe(Effect.repeat({ until: () => isReady() }), Effect.asVoid)
  })

  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const access = ["-A", "scram-sha-256", "-U", "parlance", `--pwfile=${password}`]
      run("initdb", ["-D", data, "-N", "-E", "UTF8", "--locale=C.UTF-8", ...access])
    }),
    () =>
      Effect.andThen(
        end("SIGKILL"),
        Effect.sync(() => rmSync(root, { recursive: true, force: true }))
      )
  )
  yield* start
  const urlOf = (database: string) => Redacted.make(`postgres://parlance:${PASSWORD}@127.0.0.1:${port}/${database}`)
  return {
    url: urlOf("postgres"),
    port,
    start,
    // SIGINT is its "fast" shutdown
    stop: end("SIGINT"),
    kill: end("SIGKILL"),
    freeze: Effect.sync(() => signalAll("SIGSTOP")),
    thaw: Effect.sync(() => signalAll("SIGCONT")),
    fresh: Effect.suspend(() => {
      const name = `fresh${++databases}`
      return Effect.as(query(`CREATE DATABASE ${name}`), urlOf(name))
    }),
    query
  }
})

/** Debian has one folder for each version. */
const binaries = (): string => {
  const newest = readdirSync(BINARIES).sort((a, b) => Number(b) - Number(a))[0]
  if (newest === undefined) throw new Error("PostgreSQL is not installed: apt-get install postgresql")
  return join(BINARIES, newest, "bin")
}

/** It refuses to be run by root. */
const ownerOf = (user: string) => {
  const [, , uid, gid] = (
    readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .find((line) => line.startsWith(`${user}:`)) ?? ""
  ).split(":")
  if (uid === undefined || gid === undefined) throw new Error(`there is no user ${user}`)
  return { uid: Number(uid), gid: Number(gid) }
}

const childrenOf = (pid: number): ReadonlyArray<number> =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
    .trim()
    .split(" ")
    .filter((one) => one !== "")
    .map(Number)

/** One for all tests of a file. */
export class PostgresServer extends Context.Service<PostgresServer, Postgres>()("parlance/test/PostgresServer") {
  static readonly layer = Layer.effect(PostgresServer, postgres)
}
