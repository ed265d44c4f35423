/**
 * The documentation of the service API as a page, which brings its script along: it loads nothing from elsewhere.
 */
import { Effect, Scope } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiSwagger } from "effect/http-api"
import { ServiceApi } from "./Api.ts"

export const PATH = "/docs"

/** Its script is 2 MB, 8 MB in memory, and hardly anybody ever asks for it: it is read for the first who does. */
export const route = HttpRouter.use((router) =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const page = yield* HttpRouter.toHttpEffect(HttpApiSwagger.layer(ServiceApi, { path: PATH })).pipe(
      Effect.provideService(Scope.Scope, scope),
      // Whoever goes away while it is read keeps it from nobody else.
      Effect.uninterruptible,
      Effect.cached
    )
    yield* router.add("GET", PATH, Effect.flatten(page))
  })
)
