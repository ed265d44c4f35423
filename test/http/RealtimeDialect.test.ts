import { assert, describe, it } from "@effect/vitest"
import type * as Secrets from "openai/resources/realtime/client-secrets"
import type * as Realtime from "openai/resources/realtime/realtime"
import type { Event } from "../../src/http/Dialect.ts"
import { realtime } from "../../src/http/RealtimeDialect.ts"
import type { RealtimeEvents } from "../../src/http/RealtimeEvents.ts"
import type { RealtimeSettings } from "../../src/http/RealtimeSettings.ts"
import * as DialectScene from "../support/DialectScene.ts"

/** What we say is what the `openai` package says a server says. It does not know that noise reduction can be off, although the API has it so. */
type Loose<Session extends { audio: { input: object } }> = Omit<Session, "audio"> & {
  audio: { input: Omit<Session["audio"]["input"], "noise_reduction"> }
}
type Session = Loose<ReturnType<RealtimeSettings["session"]>>
const fits: readonly [
  (event: ReturnType<RealtimeEvents["speechStarted"]>) => Realtime.InputAudioBufferSpeechStartedEvent,
  (event: ReturnType<RealtimeEvents["speechStopped"]>) => Realtime.InputAudioBufferSpeechStoppedEvent,
  (event: ReturnType<RealtimeEvents["cleared"]>) => Realtime.InputAudioBufferClearedEvent,
  (event: ReturnType<RealtimeEvents["committed"]>) => Realtime.InputAudioBufferCommittedEvent,
  (event: ReturnType<RealtimeEvents["delta"]>) => Realtime.ConversationItemInputAudioTranscriptionDeltaEvent,
  (event: ReturnType<RealtimeEvents["completed"]>) => Realtime.ConversationItemInputAudioTranscriptionCompletedEvent,
  (event: ReturnType<RealtimeEvents["failed"]>) => Realtime.ConversationItemInputAudioTranscriptionFailedEvent,
  (event: ReturnType<RealtimeEvents["error"]>) => Realtime.RealtimeErrorEvent,
  (session: Session) => Realtime.RealtimeTranscriptionSessionCreateRequest,
  (session: Session) => Secrets.RealtimeTranscriptionSessionCreateResponse
] = [
  (event) => event,
  (event) => event,
  (event) => event,
  (event) => event,
  (event) => event,
  (event) => event,
  (event) => event,
  (event) => event,
  (session) => session,
  (session) => session
]

const ready: Event = { _tag: "Ready", engine: "modal", model: "kyutai-1b", language: "en" }
const committed: Event = { _tag: "Committed", said: [] }
const append = (ms: number) => ({ type: "input_audio_buffer.append", audio: Buffer.alloc(ms * 48).toString("base64") })
const commit = { type: "input_audio_buffer.commit" }

const isEvent = (message: unknown): message is Record<string, unknown> & { readonly type: string } =>
  typeof message === "object" && message !== null && "type" in message && typeof message.type === "string"

/** A client that was let in; and what it is told, without ids of events and constant fields. */
const begin = (update?: object) => {
  const scene = DialectScene.begin(realtime)
  scene.tells({ _tag: "Admitted", by: "Request" })
  scene.tells(ready)
  if (update !== undefined) {
    scene.says({ type: "session.update", session: { type: "transcription", audio: { input: update } } })
    scene.tells(ready)
  }
  const brief = (messages: ReadonlyArray<unknown>) =>
    messages.map((message) => {
      if (!isEvent(message)) return message
      const { content_index: _, event_id: __, item, type, ...rest } = message
      const name = type.replace("conversation.item.input_audio_transcription.", "").replace("input_audio_buffer.", "")
      return [name, JSON.parse(JSON.stringify(rest).replaceAll("5a3c0c1e000040008000_", ""))]
    })
  return {
    raw: scene,
    says: (message: object | string) => brief(scene.says(message)),
    tells: (event: Event) => brief(scene.tells(event))
  }
}
/** Of a message that `brief` has been through. */
const fieldsOf = (message: unknown): Record<string, unknown> =>
  Array.isArray(message) ? { name: message[0], ...message[1] } : {}
const manual = { turn_detection: null }

/** A segment at a place the engine knows. */
const placed = (
  committed: string,
  startMs: number,
  options: { readonly final?: boolean; readonly id?: string } = {}
) => {
  const told = DialectScene.segment(committed, options)
  return told._tag === "Segment" ? { ...told, startMs, segment: { ...told.segment, startMs } } : told
}

describe("the OpenAI-compatible dialect", () => {
  it("begins by itself and tells the whole session that holds", () => {
    const client = DialectScene.begin(realtime)
    assert.deepStrictEqual(client.tells({ _tag: "Admitted", by: "Request" }), [
      { Start: { format: { _tag: "Raw", encoding: "pcm16", sampleRate: 24_000, channels: 1 } } }
    ])
    assert.deepStrictEqual(client.tells(ready), [
      {
        event_id: "event_5a3c0c1e000040008000_1",
        type: "session.created",
        session: {
          type: "transcription",
          object: "realtime.transcription_session",
          id: "sess_5a3c0c1e000040008000",
          expires_at: 1_700_003_600,
          audio: {
            input: {
              format: { type: "audio/pcm", rate: 24_000 },
              noise_reduction: null,
              transcription: { model: "kyutai-1b", language: "en" },
              turn_detection: { type: "server_vad" }
            }
          },
          include: []
        }
      }
    ])
    assert.strictEqual(fits.length, 10)
  })

  it("is set up in today's words and in the beta's", () => {
    const client = DialectScene.begin(realtime)
    client.tells({ _tag: "Admitted", by: "Request" })
    client.tells(ready)
    const input = {
      format: { type: "audio/pcmu" },
      transcription: { model: "sherpa", language: "de" },
      turn_detection: null,
      noise_reduction: { type: "near_field" }
    }
    assert.deepStrictEqual(
      client.says({ type: "session.update", session: { type: "transcription", audio: { input } } }),
      [
        {
          Start: {
            format: { _tag: "Raw", encoding: "pcmu", sampleRate: 8000, channels: 1 },
            language: "de",
            engine: "sherpa"
          }
        }
      ]
    )
    const [updated] = client.tells({ _tag: "Ready", engine: "sherpa", model: "zipformer", language: "de" })
    assert.deepInclude(updated, { type: "session.updated" })
    assert.nestedInclude(updated, {
      "session.audio.input.format.type": "audio/pcmu",
      "session.audio.input.transcription.model": "zipformer",
      "session.audio.input.transcription.language": "de",
      "session.audio.input.turn_detection": null
    })
    const legacy = { input_audio_format: "g711_alaw", turn_detection: { type: "server_vad", threshold: 0.5 } }
    assert.deepStrictEqual(client.says({ type: "transcription_session.update", session: legacy }), [
      {
        Start: {
          format: { _tag: "Raw", encoding: "pcma", sampleRate: 8000, channels: 1 },
          language: "de",
          engine: "sherpa"
        }
      }
    ])
    const [beta] = client.tells(ready)
    assert.nestedInclude(beta, {
      type: "transcription_session.updated",
      "session.input_audio_format": "g711_alaw",
      "session.turn_detection.type": "server_vad"
    })
  })

  for (const [what, message, code, param] of [
    ["an unknown parameter", { session: { type: "transcription", speed: 2 } }, "unknown_parameter", "session.speed"],
    ["a conversation", { session: { type: "realtime" } }, "invalid_value", "session.type"],
    [
      "another rate",
      { session: { type: "transcription", audio: { input: { format: { type: "audio/pcm", rate: 16_000 } } } } },
      "invalid_value",
      "session.audio.input.format.rate"
    ],
    [
      "a rate of G.711",
      { session: { type: "transcription", audio: { input: { format: { type: "audio/pcmu", rate: 24_000 } } } } },
      "invalid_value",
      "session.audio.input.format.rate"
    ],
    [
      "turns by meaning",
      { session: { type: "transcription", audio: { input: { turn_detection: { type: "semantic_vad" } } } } },
      "invalid_value",
      "session.audio.input.turn_detection.type"
    ],
    [
      "no transcription",
      { session: { type: "transcription", audio: { input: { transcription: null } } } },
      "invalid_value",
      "session.audio.input.transcription"
    ],
    ["no session", {}, "missing_required_parameter", "session"]
  ] as const)
    it(`refuses ${what} and changes nothing`, () => {
      const client = begin()
      const [error, ...rest] = client.says({ type: "session.update", event_id: "mine", ...message })
      assert.deepStrictEqual(rest, [])
      assert.nestedInclude(fieldsOf(error), { name: "error", "error.code": code, "error.param": param })
      assert.nestedInclude(fieldsOf(error), { "error.event_id": "mine", "error.type": "invalid_request_error" })
    })

  for (const [what, message, code] of [
    ["text that is not JSON", "hello", "invalid_json"],
    ["an event of conversations", { type: "response.create" }, "invalid_value"],
    ["audio that is not base64", { type: "input_audio_buffer.append", audio: "ä!" }, "invalid_value"],
    ["audio that is missing", { type: "input_audio_buffer.append" }, "missing_required_parameter"],
    ["a commit of nothing", commit, "input_audio_buffer_commit_empty"]
  ] as const)
    it(`answers ${what} with an error and goes on`, () => {
      const client = begin()
      assert.nestedInclude(fieldsOf(client.says(message)[0]), { name: "error", "error.code": code })
      assert.deepStrictEqual(client.says(append(20)), ["Audio 960"])
    })

  it("no message makes it throw", () => {
    const { raw } = begin()
    const hostile = [
      "",
      "null",
      "42",
      '"text"',
      "[".repeat(100_000),
      "[".repeat(100_000) + "]".repeat(100_000),
      '{"__proto__":{"type":"input_audio_buffer.commit"}}',
      '{"type":"constructor"}',
      '{"type":"input_audio_buffer.append","audio":{"length":-1}}',
      '{"type":"input_audio_buffer.append","audio":null}',
      `{"type":"session.update","session":${'{"audio":'.repeat(5000)}1${"}".repeat(5000)}}`,
      '{"type":"session.update","session":{"type":"transcription","audio":{"input":{"transcription":{"language":"\\u0000","languages":[]}}}}}',
      '{"type":"transcription_session.update","session":{"input_audio_format":"mp3"}}',
      `{"type":"input_audio_buffer.commit","event_id":"${"x".repeat(100_000)}"}`
    ]
    for (const message of hostile)
      for (const answer of raw.says(message)) assert.isBelow(JSON.stringify(answer).length, 2000)
  })

  it("binary messages are answered with an error", () => {
    const [error] = begin().raw.says(new Uint8Array(4))
    assert.nestedInclude(error, { type: "error" })
  })

  it("an utterance ends at a pause: started, deltas, stopped, committed, completed", () => {
    const client = begin()
    const told = [
      { _tag: "SpeechStarted" as const, atMs: 700.4 },
      DialectScene.segment("Good", { open: "mor" }),
      DialectScene.segment("Good", { open: "morning" }),
      { _tag: "SpeechStopped" as const, atMs: 2400 },
      DialectScene.segment("Good morning.", { final: true }),
      { _tag: "Settled" as const, throughMs: 2400 }
    ].flatMap(client.tells)
    assert.deepStrictEqual(told, [
      ["speech_started", { audio_start_ms: 700, item_id: "item_1" }],
      ["delta", { item_id: "item_1", delta: "Good" }],
      ["speech_stopped", { audio_end_ms: 2400, item_id: "item_1" }],
      ["committed", { previous_item_id: null, item_id: "item_1" }],
      ["conversation.item.added", { previous_item_id: null }],
      ["conversation.item.done", { previous_item_id: null }],
      ["delta", { item_id: "item_1", delta: " morning." }],
      ["completed", { item_id: "item_1", transcript: "Good morning.", usage: { type: "duration", seconds: 1.7 } }]
    ])
  })

  it("a sentence in the middle of speech is an item of its own; the next one follows it", () => {
    const client = begin()
    const told = [
      { _tag: "SpeechStarted" as const, atMs: 500 },
      DialectScene.segment("One.", { final: true }),
      DialectScene.segment("Two", { id: "s:1" }),
      { _tag: "SpeechStopped" as const, atMs: 4000 },
      DialectScene.segment("Two.", { id: "s:1", final: true })
    ].flatMap(client.tells)
    const names = told.map((one) => (Array.isArray(one) ? one[0] : one))
    const item = ["committed", "conversation.item.added", "conversation.item.done"]
    assert.deepStrictEqual(names, [
      "speech_started",
      ...["speech_stopped", ...item, "delta", "completed"],
      ...["speech_started", "delta", "speech_stopped", ...item, "delta", "completed"]
    ])
    assert.deepInclude(told, ["committed", { previous_item_id: "item_1", item_id: "item_2" }])
  })

  it("a noise of which no words came is completed with none", () => {
    const client = begin()
    const told = [
      { _tag: "SpeechStarted" as const, atMs: 0 },
      { _tag: "SpeechStopped" as const, atMs: 900 },
      { _tag: "Settled" as const, throughMs: 899 },
      { _tag: "Settled" as const, throughMs: 900 },
      { _tag: "Settled" as const, throughMs: 900 }
    ].flatMap(client.tells)
    assert.deepStrictEqual(told.at(-1), [
      "completed",
      { item_id: "item_1", transcript: "", usage: { type: "duration", seconds: 0.9 } }
    ])
    assert.strictEqual(told.length, 6)
  })

  it("never tells what may still change", () => {
    const client = begin()
    const told = [
      DialectScene.segment("", { open: "Gut" }),
      DialectScene.segment("", { open: "Good mourning" }),
      DialectScene.segment("Good", { open: "morning" }),
      DialectScene.segment("Good morning", { final: true })
    ].flatMap(client.tells)
    const deltas = told.flatMap((one) => (Array.isArray(one) && one[0] === "delta" ? [one[1].delta] : []))
    assert.deepStrictEqual(deltas, ["Good", " morning"])
  })

  it("a commit of the client is acknowledged at once and completed with what was said before it", () => {
    const client = begin(manual)
    client.says(append(1000))
    assert.deepStrictEqual(client.tells({ _tag: "SpeechStarted", atMs: 0 }), [])
    assert.deepStrictEqual(client.tells(DialectScene.segment("Good")), [
      ["delta", { item_id: "item_1", delta: "Good" }]
    ])
    assert.deepStrictEqual(client.says(commit), [
      ["committed", { previous_item_id: null, item_id: "item_1" }],
      ["conversation.item.added", { previous_item_id: null }],
      ["conversation.item.done", { previous_item_id: null }],
      "Commit"
    ])
    const told = [
      DialectScene.segment("Good morning.", { final: true }),
      DialectScene.segment("Yes.", { id: "s:1", final: true }),
      committed
    ].flatMap(client.tells)
    assert.deepStrictEqual(told, [
      ["delta", { item_id: "item_1", delta: " morning." }],
      ["delta", { item_id: "item_1", delta: " Yes." }],
      ["completed", { item_id: "item_1", transcript: "Good morning. Yes.", usage: { type: "duration", seconds: 1 } }]
    ])
  })

  it("words behind a commit that are told early belong to the next item", () => {
    const client = begin(manual)
    client.says(append(1000))
    client.says(commit)
    client.says(append(1000))
    const told = [
      placed("one", 300, { final: true }),
      placed("two", 1200, { id: "s:1" }),
      DialectScene.segment("three", { id: "s:2" }),
      committed,
      DialectScene.segment("three", { id: "s:2", final: true })
    ].flatMap(client.tells)
    assert.deepStrictEqual(told, [
      ["delta", { item_id: "item_1", delta: "one" }],
      ["delta", { item_id: "item_2", delta: "two" }],
      ["completed", { item_id: "item_1", transcript: "one", usage: { type: "duration", seconds: 1 } }],
      ["delta", { item_id: "item_2", delta: " three" }]
    ])
    client.says(commit)
    assert.nestedInclude(fieldsOf(client.tells(committed)[0]), { transcript: "two three", "usage.seconds": 1 })
  })

  it("where the server cuts, the client may commit what is being said", () => {
    const client = begin()
    client.says(append(1000))
    const told = [
      client.tells({ _tag: "SpeechStarted", atMs: 200 }),
      client.tells(DialectScene.segment("Half")),
      client.says(commit),
      // the session ends the utterance for the commit, and goes on at once
      client.tells({ _tag: "SpeechStopped", atMs: 1000 }),
      client.tells({ _tag: "SpeechStarted", atMs: 1000 }),
      client.tells(DialectScene.segment("Half a", { final: true })),
      client.tells(committed)
    ].flat()
    assert.deepStrictEqual(told, [
      ["speech_started", { audio_start_ms: 200, item_id: "item_1" }],
      ["delta", { item_id: "item_1", delta: "Half" }],
      ["committed", { previous_item_id: null, item_id: "item_1" }],
      ["conversation.item.added", { previous_item_id: null }],
      ["conversation.item.done", { previous_item_id: null }],
      "Commit",
      ["speech_started", { audio_start_ms: 1000, item_id: "item_2" }],
      ["delta", { item_id: "item_1", delta: " a" }],
      ["completed", { item_id: "item_1", transcript: "Half a", usage: { type: "duration", seconds: 0.8 } }]
    ])
  })

  it("every commit completes, in order, also where nothing was said", () => {
    const client = begin(manual)
    for (let i = 0; i < 3; i++) {
      client.says(append(100))
      client.says(commit)
    }
    const told = [committed, committed, committed, committed].flatMap(client.tells)
    assert.deepStrictEqual(
      told.map((one) => (Array.isArray(one) ? [one[0], one[1].item_id, one[1].transcript] : one)),
      [1, 2, 3].map((n) => ["completed", `item_${n}`, ""])
    )
  })

  it("what was appended can be forgotten", () => {
    const client = begin(manual)
    client.says(append(1000))
    client.tells(DialectScene.segment("no"))
    assert.deepStrictEqual(client.says({ type: "input_audio_buffer.clear" }), ["Reset"])
    assert.deepStrictEqual(client.tells({ _tag: "WasReset" }), [["cleared", {}]])
    assert.nestedInclude(fieldsOf(client.says(commit)[0]), { "error.code": "input_audio_buffer_commit_empty" })
  })

  it("commits that get no text any more fail before the session ends", () => {
    const client = begin(manual)
    client.says(append(200))
    client.says(commit)
    const told = client.tells({ _tag: "Failed", failure: "SessionLimit", detail: "an hour is over" })
    assert.deepStrictEqual(told, [
      [
        "failed",
        { item_id: "item_1", error: { type: "server_error", code: "session_expired", message: "an hour is over" } }
      ],
      [
        "error",
        {
          error: {
            type: "invalid_request_error",
            code: "session_expired",
            message: "an hour is over",
            param: null,
            event_id: null
          }
        }
      ],
      "Close 1001"
    ])
  })

  it("says why somebody is not let in, in OpenAI's words", () => {
    const client = DialectScene.begin(realtime)
    const [error, closing] = client.tells({ _tag: "Denied", denial: "Unauthorized", detail: "a token is needed" })
    assert.nestedInclude(error, { "error.code": "invalid_api_key", "error.type": "authentication_error" })
    assert.strictEqual(closing, "Close 1008")
  })
})
