/**
 * Whether something is what a runner tells its supervisor. By hand: a supervisor has no room for schemas.
 */
import type { FromRunner, Question, QuestionName, Questions } from "./Messages.ts"

type Fields = Readonly<Record<string, unknown>>
type Is = (value: unknown) => boolean

const isRecord = (value: unknown): value is Fields => typeof value === "object" && value !== null
const isText: Is = (value) => typeof value === "string"
const isNumber: Is = (value) => typeof value === "number" && Number.isFinite(value)
const isFlag: Is = (value) => typeof value === "boolean"
const has = (fields: Readonly<Record<string, Is>>): Is => {
  const all = Object.entries(fields)
  return (value) => isRecord(value) && all.every(([name, is]) => is(value[name]))
}

const isSpent = has({
  day: isNumber,
  seconds: (value) =>
    Array.isArray(value) && value.every((one) => Array.isArray(one) && isText(one[0]) && isNumber(one[1]))
})
const isSocketAddress: Is = (value) => has({ path: isText })(value) || has({ host: isText, port: isNumber })(value)

const questions: { readonly [N in QuestionName]: { readonly [F in keyof Questions[N]]: Is } } = {
  Listen: { name: isText, address: isSocketAddress },
  Reserve: { subject: isText, limits: has({ ofSubject: isNumber, ofAll: isNumber }) },
  OpenStreams: { subject: isText },
  Spent: { day: isNumber, seconds: (value) => isSpent({ day: 0, seconds: value }) },
  Metrics: {}
}
const isQuestion = (name: unknown): name is Question["name"] =>
  typeof name === "string" && Object.hasOwn(questions, name)

const kinds: { readonly [Tag in Exclude<FromRunner["_tag"], "Question">]: Is } = {
  Ready: has({ shutdownSeconds: isNumber, logLevel: isText }),
  Load: has({ cpu: isNumber, received: isNumber, open: isNumber }),
  Taken: has({ id: isNumber }),
  Closing: has({ name: isText }),
  Released: has({ subject: isText }),
  Spending: has({ spent: isSpent }),
  Scraped: has({ id: isNumber, text: isText }),
  Enabled: has({ isEnabled: isFlag }),
  KeyMade: has({ digest: isText })
}
const isKind = (tag: unknown): tag is keyof typeof kinds => typeof tag === "string" && Object.hasOwn(kinds, tag)

export const is = (message: unknown): message is FromRunner => {
  if (!isRecord(message)) return false
  const { _tag, id, name, of } = message
  if (_tag === "Question") return isNumber(id) && isQuestion(name) && has(questions[name])(of)
  return isKind(_tag) && kinds[_tag](message)
}
