/**
 * `POST /v1/realtime/client_secrets`, as OpenAI has it: whoever may stream gets a credential (`ek_…`) that ends by itself, for places where a
 * token should not be, such as a page. Errors are in OpenAI's shape, which its SDKs read.
 *
 * The settings in the request are checked and not kept: a session that is opened with the credential begins as every other, and the answer says
 * how. A credential that was made with a short-lived one is refused.
 */
import { randomUUID } from "node:crypto"
import { Effect, Option, Redacted, Result } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Complaint } from "../layers/OpenAiRequests.ts"
import * as OpenAiRequests from "../layers/OpenAiRequests.ts"
import { Engines } from "../services/Engines.ts"
import { Access, type AccessRefusal } from "./Access.ts"
import { Deployment } from "./Deployment.ts"
import * as DoorChoice from "./DoorChoice.ts"
import { credentialIn } from "./DoorCredential.ts"
import { provenanceOf } from "./Origin.ts"
import { realtime } from "./RealtimeDialect.ts"
import * as RealtimeSettings from "./RealtimeSettings.ts"

/** OpenAI's, where the request does not say. */
const DEFAULT_SECONDS = 600

const mint = Effect.fnUntraced(function* (): Effect.fn.Return<
  HttpServerResponse.HttpServerResponse,
  AccessRefusal,
  Access | Engines | Deployment | HttpServerRequest.HttpServerRequest
> {
  const access = yield* Access
  const request = yield* HttpServerRequest.HttpServerRequest
  const { headers } = request
  const grant = yield* access.admit({
    ...provenanceOf(headers, Option.getOrUndefined(request.peerAddress)),
    credential: credentialIn({ headers, query: new URLSearchParams() }, realtime.credentials)
  })
  const body = yield* Effect.result(request.text)
  const asked = Result.isSuccess(body) ? OpenAiRequests.readClientSecret(body.success) : Result.fail(unreadable)
  if (Result.isFailure(asked)) return refuse(400, "invalid_request_error", asked.failure)
  const { expiresAtMs, value } = yield* access.mint(grant, asked.success.expires_after?.seconds ?? DEFAULT_SECONDS)
  const expires_at = Math.floor(expiresAtMs / 1000)
  return HttpServerResponse.jsonUnsafe(
    { value: Redacted.value(value), expires_at, session: yield* begins },
    { headers: { "cache-control": "no-store" } }
  )
})

/** How a session begins; when it ends is known when it is there. */
const begins = Effect.gen(function* () {
  const { defaultLanguage } = yield* Deployment
  const settings = RealtimeSettings.make({
    id: `sess_${randomUUID().replaceAll("-", "").slice(0, 20)}`,
    expiresAt: 0,
    model: undefined
  })
  settings.ready(DoorChoice.make(yield* Engines, defaultLanguage) ?? { model: "", language: defaultLanguage })
  return settings.session()
})

const unreadable: Complaint = { code: "invalid_body", message: "The body cannot be read.", param: null, eventId: null }

const refuse = (status: number, type: string, { code, message, param }: Omit<Complaint, "eventId">) =>
  HttpServerResponse.jsonUnsafe({ error: { message, type, param, code } }, { status })

const refused = ({ denial, detail }: AccessRefusal) =>
  Effect.succeed(
    denial === "Unauthorized"
      ? refuse(401, "authentication_error", { code: "invalid_api_key", message: detail, param: null })
      : refuse(403, "permission_error", { code: "forbidden", message: detail, param: null })
  )

/** For the service listener. */
export const layer = HttpRouter.add("POST", "/v1/realtime/client_secrets", Effect.catch(mint(), refused))
