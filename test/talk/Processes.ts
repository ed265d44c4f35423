/**
 * Programs the proof starts: each writes to its own log file, is ended by its pid with its scope, and dies with us
 * even if we are killed (`setpriv --pdeathsig`).
 */
import { spawn } from "node:child_process"
import { closeSync, openSync, readFileSync } from "node:fs"
import { Effect, Exit, Scope } from "effect"
import { failure, type ProofError, until } from "./ProofError.ts"

export interface Daemon {
  readonly name: string
  readonly pid: number
  readonly log: () => string
  readonly alive: () => boolean
  readonly exitCode: () => number | undefined
  readonly signal: (signal: NodeJS.Signals) => void
  /** Signals and waits until the process is gone; after 8 s it is killed. */
  readonly end: (signal?: NodeJS.Signals) => Effect.Effect<void>
}

export interface DaemonOptions {
  readonly name: string
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly logFile: string
  readonly env?: Readonly<Record<string, string>>
  /** A network namespace to run in, other than our own. */
  readonly namespace?: string
  readonly cwd?: string
}

/** PATH and HOME only: what a daemon must know it is told. */
const bareEnvironment = (): Record<string, string> => ({
  PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: process.env["HOME"] ?? "/root"
})

const start = (options: DaemonOptions): Daemon => {
  const log = openSync(options.logFile, "a")
  const inside = options.namespace === undefined ? [] : ["ip", "netns", "exec", options.namespace]
  // Both setpriv and `ip netns exec` exec in place: the child's pid is the daemon's.
  const child = spawn("setpriv", ["--pdeathsig", "KILL", ...inside, options.command, ...options.args], {
    stdio: ["ignore", log, log],
    env: { ...bareEnvironment(), ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd })
  })
  closeSync(log)
  let code: number | undefined
  child.on("exit", (status) => {
    code = status ?? 128
  })
  child.on("error", () => {
    code = 127
  })
  const signal = (name: NodeJS.Signals) => {
    if (code === undefined) child.kill(name)
  }
  const gone = until(`${options.name} to end`, () => code !== undefined, 8000)
  return {
    name: options.name,
    pid: child.pid ?? -1,
    log: () => readFileSync(options.logFile, "utf8"),
    alive: () => code === undefined,
    exitCode: () => code,
    signal,
    end: (name = "SIGTERM") =>
      Effect.sync(() => signal(name)).pipe(
        Effect.andThen(gone),
        Effect.catch(() => Effect.sync(() => signal("SIGKILL")).pipe(Effect.andThen(gone), Effect.ignore))
      )
  }
}

/** Runs for as long as its scope. */
export const daemon = (options: DaemonOptions): Effect.Effect<Daemon, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => start(options)),
    (one) => one.end()
  )

/** Waits until a daemon says `text`; fails early when it dies. */
export const says = (one: Daemon, text: string | RegExp, millis = 10_000): Effect.Effect<void, ProofError> =>
  until(
    `${one.name} to say "${text}"`,
    () => !one.alive() || (typeof text === "string" ? one.log().includes(text) : text.test(one.log())),
    millis
  ).pipe(
    Effect.flatMap(() =>
      one.alive()
        ? Effect.void
        : Effect.fail(failure(`${one.name} ended with ${one.exitCode()}:\n${one.log().slice(-1500)}`))
    )
  )

/** A daemon that a drill may end and start again under the same name. */
export interface Restartable {
  readonly current: () => Daemon
  readonly stop: (signal?: NodeJS.Signals) => Effect.Effect<void>
  readonly start: Effect.Effect<void, ProofError>
}

/** Started now and waited for with `ready`; whatever runs last is ended with the scope. */
export const restartable = (
  options: DaemonOptions,
  ready: (one: Daemon) => Effect.Effect<void, ProofError>
): Effect.Effect<Restartable, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const open = Effect.gen(function* () {
      const scope = yield* Scope.make()
      const one = yield* daemon(options).pipe(Scope.provide(scope))
      return { one, scope }
    })
    let running = yield* open
    yield* Effect.addFinalizer(() => Scope.close(running.scope, Exit.void))
    yield* ready(running.one)
    return {
      current: () => running.one,
      stop: (signal = "SIGTERM") =>
        Effect.suspend(() => running.one.end(signal)).pipe(
          Effect.andThen(Effect.suspend(() => Scope.close(running.scope, Exit.void)))
        ),
      start: Effect.gen(function* () {
        running = yield* open
        yield* ready(running.one)
      })
    }
  })

/** Runs a program to its end and gives what it printed. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd?: string; readonly quiet?: boolean } = {}
): Effect.Effect<string, ProofError> =>
  Effect.callback<string, ProofError>((resume) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options })
    let out = ""
    let err = ""
    child.stdout.on("data", (data) => {
      out += String(data)
    })
    child.stderr.on("data", (data) => {
      err += String(data)
    })
    child.on("error", (error) => resume(Effect.fail(failure(`${command}: ${error.message}`))))
    child.on("close", (code) =>
      resume(
        code === 0
          ? Effect.succeed(out)
          : Effect.fail(failure(`${command} ${args.join(" ")} ended with ${code}: ${err.slice(-800)}`))
      )
    )
  })
