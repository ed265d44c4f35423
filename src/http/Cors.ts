/**
 * Lets the pages of `LT_ALLOWED_ORIGINS` ask the service API from a browser, and no others (CORS). Credentials travel in headers that the
 * page sets; cookies and passwords that a browser remembers are not for other origins.
 */
import { Effect, Layer } from "effect"
import { HttpMiddleware, HttpRouter } from "effect/http"
import { Access } from "./Access.ts"

/** How long a browser remembers what is allowed; some keep it no longer. Seconds. */
const REMEMBER_SECONDS = 600

const corsFor = (allowedOrigins: ReadonlyArray<string>) =>
  HttpMiddleware.cors({
    // A function, not the list: of one origin alone every answer would speak, whoever asks.
    allowedOrigins: (origin) => allowedOrigins.includes(origin),
    allowedMethods: ["GET", "POST", "DELETE"],
    allowedHeaders: ["authorization", "content-type", "x-api-key"],
    maxAge: REMEMBER_SECONDS
  })

/** For all routes of a listener; nothing where no origin was allowed. */
export const layer = Layer.unwrap(
  Access.useSync(({ allowedOrigins }) =>
    allowedOrigins.length === 0
      ? Layer.empty
      : HttpRouter.middleware(Effect.succeed(corsFor(allowedOrigins)), { global: true })
  )
)
