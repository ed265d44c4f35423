/**
 * A Vosk server, simulated: a real websocket server with its protocol and habits, which understands synthetic speech (`ToneModem`).
 *
 * Three kinds: the stock server (`Python`: no answer to a configuration, `reset` and `eof` compared as text), its C++ sister (`Cpp`: knows
 * only audio and `eof`, takes everything else for audio), and `Nextcloud`'s (answers a configuration with a language, breaks without one). It
 * is stricter than they are: audio must be whole samples, at most one second in a message, and nobody may send before the last answer.
 */
import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import { Effect, Option, Schema, type Scope } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import * as LocalServer from "./LocalServer.ts"
import * as Pcm16 from "./Pcm16.ts"
import * as ToneModem from "./ToneModem.ts"
import { wordText } from "./ToneWords.ts"

/** How the server treats whoever connects: serve, 401, 503, an upgrade that is never answered, close at once, messages that make no sense, silence. */
export type Behaviour = "serve" | "refuse" | "unavailable" | "neverOpen" | "close" | "garbage" | "silent"

export interface VoskSimulatorOptions {
  /** 0, the default, takes any free port. */
  readonly port?: number
  /** Absent: `Python`. */
  readonly kind?: "Python" | "Cpp" | "Nextcloud"
  /** What Nextcloud's server has models for. */
  readonly languages?: ReadonlyArray<string>
  readonly format?: ToneModem.ToneFormat
  /** English models hear "the" in silence; absent: no. */
  readonly hearsThe?: boolean
}

export interface VoskCounters {
  readonly opened: number
  readonly active: number
  readonly messages: number
  readonly audioSeconds: number
  /** Rules that were broken by those who connected. */
  readonly offences: ReadonlyArray<string>
}

export interface VoskSimulator {
  /** What `LT_VOSK_SERVER_URL` takes. */
  readonly url: string
  /** Words in the order in which they were told in finals. */
  readonly told: () => ReadonlyArray<string>
  readonly counters: () => VoskCounters
  readonly behave: (as: Behaviour) => void
  /** Says this to whoever is connected, in place of nothing. */
  readonly babble: (message: string | Uint8Array) => void
  /** Ends all sessions: as a crash, or with 1000 as if all were well. */
  readonly kill: (how?: "crash" | "close") => void
  /** Leaves the connections there are and reads and answers nothing on them any more, pings neither. */
  readonly halfOpen: () => void
}

/** ms of silence behind a word that end an utterance: the shortest of Vosk's endpoint rules. */
const ENDPOINT_MS = 500
const Configuration = Schema.Struct({
  config: Schema.Struct({
    sample_rate: Schema.optionalKey(Schema.Int),
    words: Schema.optionalKey(Schema.Boolean),
    language: Schema.optionalKey(Schema.String)
  })
})
const decodeConfiguration = Schema.decodeUnknownOption(Schema.fromJsonString(Configuration))

/** Starts the server on loopback; sessions and server end with the scope. */
export const make = Effect.fn("VoskSimulator.make")(function* (
  options: VoskSimulatorOptions = {}
): Effect.fn.Return<VoskSimulator, LocalServer.LocalServerError, Scope.Scope> {
  const { kind = "Python", languages = ["en", "de", "fr"] } = options
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  const told: Array<string> = []
  const offences: Array<string> = []
  const counters = { opened: 0, active: 0, messages: 0, audioSeconds: 0 }
  let behaviour: Behaviour = "serve"

  const serve = (socket: WebSocket) => {
    counters.opened++
    counters.active++
    socket.on("error", () => {})
    socket.on("close", () => counters.active--)
    const offend = (offence: string) => {
      offences.push(offence)
      socket.close(1011)
    }
    // what the C++ server was started with counts, whatever it is told
    let sampleRate = kind === "Cpp" ? 16_000 : 8000
    let withWords = false
    let recogniser: Recogniser | undefined
    let isAnswerDue = false
    const ears = () => {
      recogniser ??= makeRecogniser(sampleRate, withWords, options)
      return recogniser
    }
    const reply = (message: object) => {
      isAnswerDue = true
      // The answer is computed; whoever sends another message before it has come breaks the lockstep.
      setImmediate(() => {
        isAnswerDue = false
        if (behaviour === "silent" || socket.readyState !== socket.OPEN) return
        if (behaviour === "garbage") return socket.send('{"nothing": [that, anybody')
        if ("text" in message && typeof message.text === "string") told.push(...message.text.split(" ").filter(Boolean))
        socket.send(JSON.stringify(message))
      })
    }
    const onAudio = (bytes: Buffer) => {
      if (bytes.length % 2 !== 0 && kind !== "Cpp") return offend("half a sample")
      if (bytes.length > 2 * sampleRate) return offend("more than a second in a message")
      if (kind === "Nextcloud" && recogniser === undefined && !isLanguageSet) return offend("audio without a language")
      counters.audioSeconds += bytes.length / 2 / sampleRate
      reply(ears().hear(bytes))
    }
    let isLanguageSet = false
    const onText = (text: string) => {
      if (text === '{"eof" : 1}') {
        reply(ears().end())
        setImmediate(() => socket.close(1000))
        return
      }
      if (kind === "Cpp") return onAudio(Buffer.from(text))
      if (text === '{"reset" : 1}') return reply(ears().end())
      if (!text.includes("config")) return reply(ears().hear(Buffer.alloc(0)))
      const configuration = Option.getOrUndefined(decodeConfiguration(text))?.config
      if (configuration === undefined) return offend("a configuration that cannot be read")
      if (recogniser !== undefined) return offend("a configuration behind audio")
      sampleRate = configuration.sample_rate ?? sampleRate
      withWords = configuration.words === true && kind === "Python"
      if (kind !== "Nextcloud" || configuration.language === undefined) return
      isLanguageSet = languages.includes(configuration.language)
      if (behaviour !== "silent") socket.send(JSON.stringify({ success: isLanguageSet }))
    }
    socket.on("message", (data, isBinary) => {
      if (!Buffer.isBuffer(data)) return
      counters.messages++
      // the C++ server answers a configuration too, which nobody expects
      if (isAnswerDue && kind !== "Cpp") return offend("a message before the answer to the last one")
      if (isBinary) onAudio(data)
      else onText(data.toString())
    })
  }

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (behaviour === "neverOpen") return
    const refusal = refusals[behaviour]
    if (refusal !== undefined) return LocalServer.refuseUpgrade(socket, refusal)
    sockets.handleUpgrade(request, socket, head, (opened) => {
      if (behaviour === "close") opened.close(1000)
      else serve(opened)
    })
  }
  const port = yield* LocalServer.listen(options.port ?? 0, {
    onRequest: (_, response) => LocalServer.respond(response, 404, {}),
    onUpgrade
  })
  return {
    url: `ws://127.0.0.1:${port}`,
    told: () => told,
    counters: () => ({ ...counters, offences: [...offences] }),
    behave: (as) => {
      behaviour = as
    },
    babble: (message) => {
      for (const socket of sockets.clients) socket.send(message)
    },
    kill: (how = "crash") => {
      for (const socket of sockets.clients) how === "crash" ? socket.terminate() : socket.close(1000)
    },
    halfOpen: () => {
      for (const socket of sockets.clients) socket.pause()
    }
  }
})

const refusals: Partial<Record<Behaviour, string>> = {
  refuse: "401 Unauthorized",
  unavailable: "503 Service Unavailable"
}

interface Recogniser {
  readonly hear: (bytes: Buffer) => object
  /** The final of what is open, perhaps empty. */
  readonly end: () => object
}

interface Heard {
  readonly word: string
  readonly start: number
  readonly end: number
}

const makeRecogniser = (sampleRate: number, withWords: boolean, options: VoskSimulatorOptions): Recogniser => {
  let open: Array<Heard> = []
  let samples = 0
  const listen = () => {
    const from = samples / sampleRate
    return ToneModem.toneDecoder(
      sampleRate,
      (event) => {
        if (event._tag !== "Word") return
        open.push({ word: wordText(event.word), start: from + event.startMs / 1000, end: from + event.endMs / 1000 })
      },
      options.format ?? ToneModem.normal
    )
  }
  let decoder = listen()
  const text = (): string => {
    const words = open.map(({ word }) => word).join(" ")
    return words === "" && options.hearsThe === true ? "the" : words
  }
  const final = (): object => {
    const said = {
      text: text(),
      ...(withWords && open.length > 0 ? { result: open.map((one) => ({ ...one, conf: 0.9 })) } : {})
    }
    open = []
    return said
  }
  return {
    hear: (bytes) => {
      const pcm = Pcm16.decode(bytes)
      decoder.push(pcm)
      samples += pcm.length
      const last = open.at(-1)
      const isOver = last !== undefined && (samples / sampleRate - last.end) * 1000 >= ENDPOINT_MS
      return isOver ? final() : { partial: text() }
    },
    end: () => {
      decoder.flush()
      decoder = listen()
      return final()
    }
  }
}
