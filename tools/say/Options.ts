/**
 * What `say` is asked for on the command line.
 */
import { readFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { Effect, Redacted } from "effect"
import { wordIndex } from "../../src/layers/ToneWords.ts"
import { type Client, clients } from "./Clients.ts"
import { SayError } from "./SayError.ts"

/** Where the sound comes from. */
export type Sound =
  | { readonly _tag: "File"; readonly path: string }
  | { readonly _tag: "Microphone" }
  /** Words of the synthetic vocabulary, by their index. */
  | { readonly _tag: "Tones"; readonly words: ReadonlyArray<number> }

export interface SayOptions {
  readonly sound: Sound
  readonly client: Client
  readonly url: URL
  readonly token: Redacted.Redacted | undefined
  readonly language: string | undefined
  readonly model: string | undefined
  readonly variant: string | undefined
  readonly isFast: boolean
}

export const help = `Says something to a service that writes down what is said, and prints what comes back.

  npm run say -- speech.wav
  npm run say -- --mic --dialect tldw --token my-token
  npm run say -- --tones "bado bodora" --dialect vosk --url ws://127.0.0.1:2700/

What is said (one of these)
  FILE.wav             a WAV file: PCM, float or G.711, mono or stereo, any usual rate
  --mic                the microphone, by arecord or parec, until Ctrl-C
  --tones "WORDS"      synthetic speech, for engines that know it (npm run demo): words such as "bado bodora stine"
  --duration SECONDS   synthetic speech for so long

To whom
  --url URL            http, https, ws or wss; http://127.0.0.1:8080 unless said. The path is the dialect's unless the URL has one
  --dialect NAME       ${Object.keys(clients).join(", ")}; tuon unless said
  --token TOKEN        credential, where the service asks for one
  --token-file FILE    the same from a file, so that it does not stand in the list of processes
  --language TAG       such as en or de-DE
  --model NAME         model or engine
  --variant NAME       variant of the model (tldw: standard, onnx, mlx)
  --fast               as fast as the service takes it, and not as fast as people speak

Partials appear in place where the output is a terminal; finals are lines on the standard output, everything else goes to the standard error.
Exits with 0 when all was said, 1 when something went wrong, 2 when the command line makes no sense.
`

const usage = (detail: string) => new SayError({ reason: "Usage", detail: `${detail} (--help says how it goes)` })

/** Reads the command line; `undefined`: somebody asks for help. */
export const parse = (args: ReadonlyArray<string>): Effect.Effect<SayOptions | undefined, SayError> =>
  Effect.gen(function* () {
    const { positionals, values } = yield* Effect.try({
      try: () =>
        parseArgs({
          args: [...args],
          allowPositionals: true,
          options: {
            help: { type: "boolean", short: "h" },
            mic: { type: "boolean" },
            fast: { type: "boolean" },
            ...{ tones: text, duration: text, dialect: text, url: text, token: text, "token-file": text },
            ...{ language: text, model: text, variant: text }
          }
        }),
      catch: (cause) => usage(cause instanceof Error ? cause.message : String(cause))
    })
    if (values.help === true) return undefined
    const sounds = yield* Effect.all([
      ...positionals.map((path) => Effect.succeed<Sound>({ _tag: "File", path })),
      ...(values.mic === true ? [Effect.succeed<Sound>({ _tag: "Microphone" })] : []),
      ...(values.tones === undefined ? [] : [tones(values.tones)]),
      ...(values.duration === undefined ? [] : [synthetic(values.duration)])
    ])
    const [sound] = sounds
    if (sound === undefined || sounds.length > 1)
      return yield* usage("say one thing: a file, --mic, --tones or --duration")
    const client = clients[values.dialect ?? "tuon"]
    if (client === undefined) return yield* usage(`--dialect is one of ${Object.keys(clients).join(", ")}`)
    return {
      sound,
      client,
      url: yield* address(values.url ?? "http://127.0.0.1:8080", client.path),
      token: yield* token(values.token, values["token-file"]),
      language: values.language,
      model: values.model,
      variant: values.variant,
      isFast: values.fast ?? false
    }
  })

const text = { type: "string" } as const

const tones = (words: string): Effect.Effect<Sound, SayError> =>
  Effect.gen(function* () {
    const indexes = yield* Effect.forEach(words.split(/\s+/).filter(Boolean), (word) => {
      const index = wordIndex(word)
      return index === undefined
        ? Effect.fail(usage(`"${word}" is no word of the synthetic vocabulary`))
        : Effect.succeed(index)
    })
    if (indexes.length === 0) return yield* usage("--tones needs words")
    return { _tag: "Tones", words: indexes }
  })

/** 360 ms a word. */
const wordsPerSecond = 1 / 0.36
const longestSeconds = 3600

const synthetic = (given: string): Effect.Effect<Sound, SayError> => {
  const seconds = Number(given)
  if (!(seconds >= 1 && seconds <= longestSeconds))
    return Effect.fail(usage(`--duration is 1 to ${longestSeconds} seconds`))
  const words = Array.from({ length: Math.round(seconds * wordsPerSecond) }, (_, at) => (at * 37) % 2048)
  return Effect.succeed({ _tag: "Tones", words })
}

const address = (given: string, path: string): Effect.Effect<URL, SayError> => {
  const url = URL.parse(given)
  if (url === null || !/^(http|ws)s?:$/.test(url.protocol))
    return Effect.fail(usage("--url is an address with http, https, ws or wss"))
  url.protocol = url.protocol.replace("http", "ws")
  return Effect.succeed(url.pathname === "/" ? new URL(path, url) : url)
}

const token = (given: string | undefined, file: string | undefined) =>
  file === undefined
    ? Effect.succeed(given === undefined ? undefined : Redacted.make(given))
    : Effect.try({
        try: () => Redacted.make(readFileSync(file, "utf8").trim()),
        catch: () => usage(`${file} cannot be read`)
      })
