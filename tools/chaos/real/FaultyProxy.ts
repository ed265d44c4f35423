/**
 * A door in front of a server that can do to its connections what networks and broken middleboxes do.
 */
import { connect, createServer, type Socket } from "node:net"
import { Effect, type Scope } from "effect"
import { because, type ProofError } from "../../../test/talk/ProofError.ts"

export interface FaultyProxy {
  readonly port: number
  /** Connections that stand now. */
  readonly open: () => number
  /** Resets every connection. */
  readonly cut: () => void
  /** While refused, newcomers are reset at once. */
  readonly refuse: (refused: boolean) => void
  /** While stalled nothing passes in either direction, and everything comes when that is over. */
  readonly stall: (stalled: boolean) => void
  /** What stands now is dead for good, and neither side is told; newcomers are served. */
  readonly halfOpen: () => void
  /** Everything takes so long in each direction, ms; 0 ends it. */
  readonly slow: (delayMs: number) => void
  /** What the server says next on each connection has a head that no websocket frame has. */
  readonly corrupt: () => void
  /** The clients are sent this, in a frame of their websocket: text, or a close with a code. */
  readonly inject: (frame: string | { readonly close: number }) => void
}

export interface FaultyProxyOptions {
  /** 0, the default, takes any free port. */
  readonly port?: number
  readonly target: number
  /** Sees everything that clients send. */
  readonly tap?: (sent: Buffer) => void
}

/** One direction of a connection: bytes in order, each chunk when it is due. */
const makeFlow = (to: Socket, delayMs: () => number, isStalled: () => boolean) => {
  const waiting: Array<{ readonly dueMs: number; readonly chunk: Buffer }> = []
  let timer: NodeJS.Timeout | undefined
  let lastDueMs = 0
  const pump = () => {
    clearTimeout(timer)
    timer = undefined
    if (isStalled() || to.destroyed) return
    const now = performance.now()
    while (waiting[0] !== undefined && waiting[0].dueMs <= now) to.write(waiting.shift()?.chunk ?? "")
    if (waiting[0] !== undefined) timer = setTimeout(pump, waiting[0].dueMs - now)
  }
  return {
    push: (chunk: Buffer) => {
      lastDueMs = Math.max(lastDueMs, performance.now() + delayMs())
      waiting.push({ dueMs: lastDueMs, chunk })
      pump()
    },
    pump,
    forget: () => {
      clearTimeout(timer)
      waiting.length = 0
    }
  }
}

/** An unmasked frame of a server (RFC 6455 §5.2); shorter than 126 bytes. */
const frameOf = (frame: string | { readonly close: number }): Buffer => {
  if (typeof frame === "string") {
    const text = Buffer.from(frame)
    return Buffer.concat([Buffer.from([0x81, text.length]), text])
  }
  return Buffer.from([0x88, 2, frame.close >> 8, frame.close & 0xff])
}

/** Reserved bits and opcode of a frame's head, RFC 6455 §5.2: whoever gets them set must end the connection. */
const RESERVED = 0x70

/** Listens on loopback and connects there, until its scope closes. */
export const make = (options: FaultyProxyOptions): Effect.Effect<FaultyProxy, ProofError, Scope.Scope> => {
  let refused = false
  let stalled = false
  let delayMs = 0

  const pairOf = (near: Socket) => {
    const far = connect({ port: options.target, host: "127.0.0.1", noDelay: true })
    const toFar = makeFlow(
      far,
      () => delayMs,
      () => stalled
    )
    const toNear = makeFlow(
      near,
      () => delayMs,
      () => stalled
    )
    let dead = false
    let spoilt = false
    let ended = false
    const destroy = () => {
      toFar.forget()
      toNear.forget()
      near.destroy()
      far.destroy()
    }
    near.on("data", (chunk: Buffer) => {
      if (dead) return
      options.tap?.(chunk)
      toFar.push(chunk)
    })
    far.on("data", (chunk: Buffer) => {
      if (dead) return
      if (spoilt) chunk[0] = (chunk[0] ?? 0) ^ RESERVED
      spoilt = false
      toNear.push(chunk)
    })
    for (const one of [near, far]) {
      one.on("error", () => undefined)
      one.on("close", () => {
        // News of an end travels the same way as bytes: not at all through a dead or stalled connection.
        if (dead) one === near ? pairs.delete(pair) : undefined
        else if (stalled) ended = true
        else destroy()
        if (near.destroyed && far.destroyed) pairs.delete(pair)
      })
    }
    const pair = {
      near,
      destroy,
      die: () => {
        dead = true
        toFar.forget()
        toNear.forget()
      },
      spoil: () => {
        spoilt = true
      },
      go: () => {
        if (ended && !dead) return destroy()
        toFar.pump()
        toNear.pump()
      },
      inject: (frame: Buffer) => {
        if (!dead) toNear.push(frame)
      },
      reset: () => {
        near.resetAndDestroy()
        far.destroy()
        destroy()
      },
      /** A half-open connection lives on at the server's side, until that gives it up. */
      far
    }
    return pair
  }
  const pairs = new Set<ReturnType<typeof pairOf>>()
  const all = new Set<ReturnType<typeof pairOf>>()

  const server = createServer({ noDelay: true }, (near) => {
    if (refused) {
      near.resetAndDestroy()
      return
    }
    const pair = pairOf(near)
    pairs.add(pair)
    all.add(pair)
    const forget = () => {
      if (pair.near.destroyed && pair.far.destroyed) all.delete(pair)
    }
    pair.near.on("close", forget)
    pair.far.on("close", forget)
  })
  const cut = () => {
    for (const pair of pairs) pair.reset()
  }
  const listening = Effect.callback<FaultyProxy, ProofError>((resume) => {
    server.on("error", (error) => resume(Effect.fail(because("proxy")(error))))
    server.listen(options.port ?? 0, "0.0.0.0", () => {
      const address = server.address()
      resume(
        Effect.succeed({
          port: typeof address === "object" && address !== null ? address.port : 0,
          open: () => pairs.size,
          cut,
          refuse: (on) => {
            refused = on
          },
          stall: (on) => {
            stalled = on
            if (!on) for (const pair of pairs) pair.go()
          },
          halfOpen: () => {
            for (const pair of pairs) pair.die()
          },
          slow: (ms) => {
            delayMs = ms
          },
          corrupt: () => {
            for (const pair of pairs) pair.spoil()
          },
          inject: (frame) => {
            for (const pair of pairs) pair.inject(frameOf(frame))
          }
        })
      )
    })
  })
  return Effect.acquireRelease(listening, () =>
    Effect.sync(() => {
      server.close()
      for (const pair of all) pair.destroy()
    })
  )
}
