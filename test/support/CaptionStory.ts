/**
 * A random call, from a seed: one to four people speak (also across each other), an engine changes its mind about words that are
 * open, people come and go, readers change their language, the socket breaks. Every word carries its number, so that what a page shows can be
 * judged word by word: `ada7` was said seventh, `ada7~` and `oops7~` are guesses at it.
 */
import { Effect } from "effect"
import * as CaptionScene from "./CaptionScene.ts"
import { id, person } from "./ScriptedSession.ts"

/** Mulberry32: small, seeded, good enough to shuffle. */
export const random = (seed: number) => {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    chance: (probability: number) => next() < probability,
    between: (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
  }
}

export interface StoryOptions {
  readonly seed: number
  /** Engines revise words that are open. */
  readonly revisions: boolean
  readonly breaks: "none" | "resume" | "rejoin"
}

const names = ["ada", "bob", "cyd", "dan"]

export interface Story {
  readonly scene: CaptionScene.CaptionScene
  /** Everybody who spoke, with the number of words said. */
  readonly said: ReadonlyMap<string, number>
  /** Who was away for a while: nobody could finish what stood open of them. */
  readonly leaver: string | undefined
  /** Read along from beginning to end. */
  readonly readers: ReadonlyArray<string>
}

/** One person who speaks. */
const speakerOf = (
  scene: CaptionScene.CaptionScene,
  name: string,
  dice: ReturnType<typeof random>,
  revises: boolean
) => {
  let said = 0
  let guessedTo = 0
  let generation = 0
  let voice = scene.voice(name, name)
  const guess = (number: number) => (dice.chance(0.6) ? `${name}${number}~` : `oops${number}~`)
  /** What was guessed was said; how it reads now is certain. */
  const end = () => {
    const words: Array<string> = []
    while (said < guessedTo) words.push(`${name}${said++}`)
    if (words.length > 0) voice.says(words.join(" "))
    voice.ends()
  }
  return {
    said: () => said,
    speak: () => {
      const words: Array<string> = []
      for (let count = dice.between(1, 3); count > 0; count--) {
        words.push(`${name}${said++}${dice.chance(0.15) ? "," : dice.chance(0.08) ? "." : ""}`)
      }
      const open = Array.from({ length: revises ? dice.between(0, 3) : 0 }, (_, i) => guess(said + i))
      guessedTo = Math.max(guessedTo, said + open.length)
      voice.says(words.join(" "), open.join(" "))
      if (dice.chance(0.12)) end()
    },
    end,
    /** The publisher has a new session id: a new voice goes on. */
    renew: (session: string) => {
      end()
      voice = scene.voice(`${name}:${++generation}`, session)
    }
  }
}

export const play = Effect.fnUntraced(function* ({ breaks, revisions, seed }: StoryOptions) {
  const dice = random(seed)
  const scene = yield* CaptionScene.make({ canReachCall: dice.chance(0.5), confirmMs: dice.between(1, 40) })
  const readers = ["eve", "fay"].slice(0, dice.between(1, 2))
  scene.join(...readers.map((name) => person(name)))
  for (const name of readers) scene.asks(name)
  const speakers = names.slice(0, dice.between(1, 4)).map((name) => {
    if (dice.chance(0.7)) scene.join(person(name))
    if (dice.chance(0.5)) scene.asks(name)
    return { name, ...speakerOf(scene, name, dice, revisions) }
  })
  let suffix = ""

  /** The socket breaks: what is sent is lost first, then sending fails, then it is back. */
  const breakSocket = Effect.fnUntraced(function* () {
    // What the HPB has read but not proven may come twice; here everything is proven before.
    yield* scene.wait(100)
    scene.vanish()
    yield* talk(dice.between(1, 6))
    scene.drop()
    yield* talk(dice.between(0, 6))
    if (breaks === "rejoin") {
      suffix = "#1"
      scene.renew(1)
    }
    scene.comeBack()
    if (breaks === "rejoin") scene.sink.rejoined()
    else scene.sink.resumed()
    if (breaks === "rejoin") for (const { name, renew } of speakers) renew(`${name}${suffix}`)
  })
  const talk = Effect.fnUntraced(function* (steps: number) {
    for (let step = 0; step < steps; step++) {
      for (const speaker of speakers) if (dice.chance(0.5)) speaker.speak()
      yield* scene.wait(dice.between(10, 500))
    }
  })

  yield* talk(dice.between(1, 20))
  scene.join(...speakers.map(({ name }) => person(name)))
  for (let part = 0; part < 3; part++) {
    yield* talk(dice.between(1, 20))
    if (dice.chance(0.3)) scene.asks(readers[0] ?? "", dice.chance(0.5) ? "fr" : "en")
    if (dice.chance(0.3)) scene.join(person("newcomer", { session: id(`newcomer${suffix}`) }))
    if (dice.chance(0.3)) scene.asks("newcomer")
    if (dice.chance(0.3)) scene.leave(`newcomer${suffix}`)
    if (part === 1 && breaks !== "none") yield* breakSocket()
  }
  const [leaver] = speakers
  const leaves = leaver !== undefined && speakers.length > 1 && dice.chance(0.5)
  if (leaves) {
    // What the HPB has read but not proven may come twice, here as well: nobody waits for a turn any more.
    yield* scene.wait(2_000)
    const session = id(`${leaver.name}${suffix}`)
    const person = scene.session.roster().participants.get(session)
    scene.leave(session)
    scene.sink.speakerLeft(session)
    if (dice.chance(0.5)) leaver.end()
    yield* talk(dice.between(0, 5))
    if (person !== undefined) scene.join(person)
    yield* talk(5)
  }
  for (const speaker of speakers) speaker.end()
  yield* scene.wait(4_000)
  const said = new Map(speakers.map((one) => [one.name, one.said()]))
  const story: Story = { scene, said, readers, leaver: leaves ? leaver.name : undefined }
  return story
})

/** Numbers of the words of one speaker as a page shows them, in reading order. */
export const numbersOf = (scene: CaptionScene.CaptionScene, reader: string, name: string): ReadonlyArray<number> =>
  scene
    .page(reader)
    .blocks()
    .filter((block) => block.speaker.replace(/#.*/, "") === name)
    .flatMap((block) => block.text.split(" "))
    .map((word) => Number(word.replace(/\D/g, "")))
