/**
 * Settings of the processes: how many share the work, through which database, what they log and how they end.
 */
import { optional, withDefault } from "./Setting.ts"
import { databaseUrl, flag, hostAndPort, integer, level, runners } from "./SettingKinds.ts"

/** The same on each machine, apart from its address. */
export const processes = {
  runners: withDefault("LT_RUNNERS", runners, 1, {
    description:
      "Processes that share the work on this machine, about one for each core; auto starts with one and adds others while they are needed, one for each core at most.",
    unit: "processes",
    example: "auto"
  }),
  databaseUrl: optional("LT_DATABASE_URL", databaseUrl, {
    description:
      "PostgreSQL, for runners on several machines: who wants captions, who runs which call. Left out: a file in the folder of this machine.",
    example: "postgres://parlance:password@db.example.com/parlance?sslmode=verify-full"
  }),
  runnerAddress: optional("LT_RUNNER_ADDRESS", hostAndPort, {
    description:
      "Where runners of other machines reach the first one of this machine; the second one is at the next port, and so on. What they say to each other is encrypted, and both ends prove that they know LT_INTERNAL_SECRET, the same for all; a private network all the same. Left out: runners of this machine only, and a database of this machine.",
    example: "10.0.0.5:23100"
  }),
  runnerPublic: withDefault("LT_RUNNER_PUBLIC", flag, false, {
    description: "Lets LT_RUNNER_ADDRESS be a public address, behind a firewall of your own.",
    example: "true"
  }),
  logLevel: withDefault("LOG_LEVEL", level, "Info", {
    default: "info",
    description:
      "Least level of the logs: debug, info, warn or error. They are JSON lines on the standard output; no secrets, nothing that was said.",
    example: "debug"
  }),
  shutdownSeconds: withDefault("LT_SHUTDOWN_SECONDS", integer(1, 600), 8, {
    description:
      "After a signal to stop: time to deliver the last words and say goodbye, then the process ends by force. Less than what stops it waits before it kills (Docker: 10).",
    unit: "seconds",
    example: "25"
  })
}
