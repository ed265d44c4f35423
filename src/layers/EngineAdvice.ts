/**
 * EngineAdvice: what an admin is told of a call that is not captioned.
 */
import type { EngineTrouble } from "../services/Engines.ts"

/** In one sentence, if there is trouble. */
export const make = (trouble: EngineTrouble | undefined): string | undefined =>
  trouble === undefined ? undefined : advices[trouble]

const advices: Readonly<Record<EngineTrouble, string>> = {
  NotAllowed:
    "No captions: no speech engine is on this machine, and none elsewhere may hear this call (LT_PRIVACY, LT_LOCAL_ONLY_ROOMS or the request).",
  Refused: "No captions: every speech engine refuses this service until its configuration is corrected.",
  Away: "No captions at the moment: no speech engine works. They come back by themselves."
}
