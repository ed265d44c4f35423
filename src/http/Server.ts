/**
 * The two listeners: Nextcloud's on `APP_HOST:APP_PORT` or a unix socket, everybody else's on `PORT`.
 */
import { Effect, Layer, Metric } from "effect"
import { HttpMiddleware, HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApiBuilder, OpenApi } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import * as Metrics from "../layers/Metrics.ts"
import { Front } from "../services/Front.ts"
import type { Address } from "../supervisor/Messages.ts"
import { ExAppApi, ServiceApi } from "./Api.ts"
import * as Auth from "./Auth.ts"
import * as CallsHttp from "./CallsHttp.ts"
import * as CaptionsHttp from "./CaptionsHttp.ts"
import type { CertificateFiles } from "./Certificate.ts"
import * as Cors from "./Cors.ts"
import * as Documentation from "./Documentation.ts"
import * as Doors from "./Doors.ts"
import * as Enablement from "./Enablement.ts"
import * as EnginesHttp from "./EnginesHttp.ts"
import * as Errors from "./Errors.ts"
import * as ExAppHttp from "./ExAppHttp.ts"
import * as HealthHttp from "./HealthHttp.ts"
import { listen } from "./Listener.ts"
import * as Page from "./Page.ts"
import * as RealtimeHttp from "./RealtimeHttp.ts"
import * as StreamHttp from "./StreamHttp.ts"
import * as TalkHttp from "./TalkHttp.ts"

/** A request's span carries its headers, and with them the secret of whoever asked, to whoever collects spans. */
const untraced = Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)
/** Paths are rooms: who calls when is nobody's business but the caller's. */
const silent = { disableLogger: true, disableListenLog: true }

/** Nextcloud's routes, without a listener. */
export const exAppRoutes = HttpRouter.serve(
  Layer.mergeAll(
    HttpApiBuilder.layer(ExAppApi).pipe(
      Layer.provide([HealthHttp.layerExApp, ExAppHttp.layer, TalkHttp.layer]),
      Layer.provide([Auth.layerAppApi, Enablement.layer])
    ),
    Errors.methodNotAllowed(ExAppApi),
    Errors.layer()
  ),
  silent
).pipe(Layer.provide(untraced))

const openApi = HttpRouter.add(
  "GET",
  "/openapi.json",
  Effect.sync(() => HttpServerResponse.jsonUnsafe(OpenApi.fromApi(ServiceApi)))
)

/** Of all runners, where there are several: whoever scrapes knows of one service. */
const metrics = HttpRouter.add(
  "GET",
  "/metrics",
  Effect.gen(function* () {
    const front = yield* Front
    const text = yield* front === undefined ? PrometheusMetrics.format() : front.metrics
    return HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4; charset=utf-8" })
  })
)

/** Gauges that dashboards expect from the first scrape on, also before there was a call. */
const zeroes = Layer.effectDiscard(
  Effect.forEach(
    [Metrics.roomsActive, Metrics.speakersActive, Metrics.viewersActive],
    (gauge) => Metric.modify(gauge, 0),
    { discard: true }
  )
)

/** Everybody else's routes, without a listener: the page, the service API, its documentation, the metrics. */
export const serviceRoutes = HttpRouter.serve(
  Layer.mergeAll(
    HttpApiBuilder.layer(ServiceApi).pipe(
      Layer.provide([
        HealthHttp.layerService,
        CallsHttp.layer,
        CaptionsHttp.layer,
        StreamHttp.layer,
        EnginesHttp.layer
      ]),
      Layer.provide([Auth.layerToken, Auth.layerStream])
    ),
    Layer.mergeAll(openApi, Documentation.route, metrics).pipe(Layer.provide(Auth.guardRoutes.layer)),
    Page.layer,
    zeroes,
    Doors.routes,
    RealtimeHttp.layer,
    Errors.methodNotAllowed(ServiceApi, [
      "/openapi.json",
      Documentation.PATH,
      "/metrics",
      ...Page.paths,
      ...Doors.paths
    ]),
    Cors.layer,
    Errors.layer({ challenge: 'Bearer, Basic realm="Parlance", charset="UTF-8"' })
  ),
  silent
).pipe(Layer.provide(untraced))

/** Listens for Nextcloud. */
export const exApp = (address: Address) => listen(exAppRoutes, { name: "Nextcloud", address })

/** Listens for everybody else. */
export const service = (address: Address, certificate?: CertificateFiles) =>
  Layer.unwrap(
    Effect.map(Effect.service(Doors.Doors), (upgrades) =>
      listen(serviceRoutes, {
        name: "page, streaming, service API, documentation, metrics",
        address,
        upgrades,
        certificate
      })
    )
  )
