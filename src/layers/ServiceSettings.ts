/**
 * Settings of the service for applications: where it listens, to whom, and what it keeps of what they stream.
 */
import { optional, secret, withDefault } from "./Setting.ts"
import { integer, originList, port, text, url } from "./SettingKinds.ts"

/** Its port, credentials, limits and transcripts. */
export const service = {
  servicePort: optional("PORT", port, {
    description: "Port of the service API, its documentation and the metrics. As an ExApp it is closed unless set.",
    default: "8080",
    example: "8080"
  }),
  serviceHost: optional("LT_LISTEN_HOST", text, {
    description:
      "Address the service listens on. Without LT_API_TOKEN, LT_TOKENS_FILE, LT_JWT_SECRET or LT_JWT_PUBLIC_KEY only a loopback address is accepted. Left out: 0.0.0.0 with one of them, 127.0.0.1 without.",
    example: "0.0.0.0"
  }),
  apiToken: secret("LT_API_TOKEN", {
    description:
      "Bearer token that the service API asks for (in a browser: any user name, the token as password), and that may stream without quotas. Left out: the service API is closed. With none of the credentials below either it is open to this machine, and a key for streaming is generated at the first start and shown once in the log.",
    example: "a long random text"
  }),
  tokensFile: optional("LT_TOKENS_FILE", text, {
    description:
      "JSON file with further tokens for streaming: [{name, token or sha256 (hex), concurrentStreams?, minutesPerDay?, privacy?}]. Read again when it changes.",
    example: "/run/secrets/tokens.json"
  }),
  jwtSecret: secret("LT_JWT_SECRET", {
    description:
      "Secret of signed tokens (JWT, HS256) that an application of yours hands out; 32 characters or more. They need sub, exp and aud, and may have concurrentStreams and minutesPerDay.",
    example: "a long random text"
  }),
  jwtPublicKey: optional("LT_JWT_PUBLIC_KEY", text, {
    description: "Public key of such tokens where they are signed with RS256: a PEM file, or the PEM text.",
    example: "/run/secrets/jwt.pem"
  }),
  jwtAudience: withDefault("LT_JWT_AUDIENCE", text, "transcribe", {
    description: "The audience (aud) that signed tokens must name.",
    example: "transcribe"
  }),
  allowedOrigins: optional("LT_ALLOWED_ORIGINS", originList, {
    description: "Origins, separated by commas, whose pages may use the service besides its own.",
    example: "https://app.example.com"
  }),
  maxStreams: withDefault("LT_MAX_STREAMS", integer(1, 10_000), 200, {
    description: "Most streaming sessions at a time.",
    unit: "sessions",
    example: "50"
  }),
  streamsPerToken: withDefault("LT_STREAMS_PER_TOKEN", integer(1, 10_000), 20, {
    description: "Most streaming sessions of one token at a time, where the token says nothing else.",
    unit: "sessions",
    example: "3"
  }),
  minutesPerDay: optional("LT_MINUTES_PER_DAY", integer(1, 1_000_000), {
    description: "Minutes of audio that one token may stream in a day (UTC), where the token says nothing else.",
    unit: "minutes",
    example: "300"
  }),
  sessionSeconds: withDefault("LT_SESSION_SECONDS", integer(10, 86_400), 14_400, {
    description: "Longest streaming session.",
    unit: "seconds",
    example: "3600"
  }),
  idleSeconds: withDefault("LT_IDLE_SECONDS", integer(5, 3600), 300, {
    description: "A streaming session that sends nothing for so long is closed.",
    unit: "seconds",
    example: "60"
  }),
  tlsCertificate: optional("LT_TLS_CERT", text, {
    description:
      "PEM file with the certificate for PORT, with which it speaks TLS (https, wss). It and the key are read again when they change.",
    example: "/run/secrets/tls.crt"
  }),
  tlsKey: optional("LT_TLS_KEY", text, {
    description: "PEM file with its key.",
    example: "/run/secrets/tls.key"
  }),
  transcriptDir: optional("LT_TRANSCRIPT_DIR", text, {
    description:
      "Folder in which the transcripts of streaming sessions are kept. Nothing is kept unless this or S3_BUCKET is set.",
    example: "/data/transcripts"
  }),
  s3Bucket: optional("S3_BUCKET", text, {
    description: "Bucket in which the transcripts of streaming sessions that ask for it are kept.",
    example: "my-transcripts"
  }),
  s3Endpoint: optional("LT_S3_ENDPOINT", url("https:", "http:"), {
    description: "Address of an S3-compatible store other than Amazon's.",
    example: "https://minio.example.com"
  })
}
