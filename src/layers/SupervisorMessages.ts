/**
 * What a supervisor tells its runners, read: the types of `supervisor/Messages.ts`, as schemas.
 */
import { Option, Schema } from "effect"
import { Incarnation } from "../domain/Seat.ts"
import type { Answers, QuestionName } from "../supervisor/Messages.ts"

const Spent = Schema.Struct({
  day: Schema.Int,
  seconds: Schema.Array(Schema.Tuple([Schema.String, Schema.Finite]))
})

const Bound = Schema.Union([
  Schema.String,
  Schema.Struct({ address: Schema.String, family: Schema.String, port: Schema.Int })
])

const Told = Schema.Union([
  Schema.Struct({
    _tag: Schema.tag("Welcome"),
    slot: Schema.Int,
    incarnation: Incarnation,
    isFirst: Schema.Boolean,
    secret: Schema.String,
    generatedKey: Schema.optional(Schema.String),
    isEnabled: Schema.optional(Schema.Boolean)
  }),
  Schema.Struct({ _tag: Schema.tag("Answer"), id: Schema.Int, is: Schema.Unknown }),
  Schema.Struct({ _tag: Schema.tag("Connection"), name: Schema.String, id: Schema.Int }),
  Schema.Struct({ _tag: Schema.tag("Spending"), spent: Spent }),
  Schema.Struct({ _tag: Schema.tag("Scrape"), id: Schema.Int }),
  Schema.Struct({ _tag: Schema.tag("Enabled"), isEnabled: Schema.Boolean }),
  Schema.Struct({ _tag: Schema.tag("Gone"), incarnation: Incarnation }),
  Schema.Struct({ _tag: Schema.tag("Stop") })
])
/** An answer is read when it is known what was asked. */
export type Told = typeof Told.Type
export type Welcomed = Extract<Told, { readonly _tag: "Welcome" }>

const decode = Schema.decodeUnknownOption(Told)

/** `undefined`: not one of ours. */
export const read = (message: unknown): Told | undefined => Option.getOrUndefined(decode(message))

const readers: { readonly [N in QuestionName]: (is: unknown) => Option.Option<Answers[N]> } = {
  Listen: Schema.decodeUnknownOption(
    Schema.Union([
      Schema.Struct({ _tag: Schema.tag("Listening"), at: Bound, isFirst: Schema.Boolean }),
      Schema.Struct({ _tag: Schema.tag("NotListening"), code: Schema.String })
    ])
  ),
  Reserve: Schema.decodeUnknownOption(Schema.Literals(["Reserved", "ConcurrentStreams", "TooManyStreams"])),
  OpenStreams: Schema.decodeUnknownOption(Schema.Struct({ ofSubject: Schema.Int, ofAll: Schema.Int })),
  Spent: Schema.decodeUnknownOption(Spent),
  Metrics: Schema.decodeUnknownOption(Schema.String)
}

/** `undefined`: no answer to this. */
export const answerTo = <N extends QuestionName>(name: N, is: unknown): Answers[N] | undefined =>
  Option.getOrUndefined(readers[name](is))
