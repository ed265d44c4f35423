/**
 * The README's configuration table, made from the settings. `node test/support/ConfigurationTable.ts` prints it.
 */
import { variables } from "../../src/layers/AppConfig.ts"
import type { Variable } from "../../src/layers/Setting.ts"

const code = (text: string | undefined) => (text === undefined ? "" : `\`${text}\``)

const row = ({ default: standard, description, example, name, unit }: Variable) =>
  `| ${code(name)} | ${description} | ${code(standard)} | ${unit ?? ""} | ${code(example)} |`

const tableOf = (setBy: Variable["setBy"]) =>
  [
    "| variable | meaning | default | unit | example |",
    "| --- | --- | --- | --- | --- |",
    ...variables.filter((variable) => variable.setBy === setBy).map(row)
  ].join("\n")

/** What an admin sets. */
export const adminTable = tableOf("admin")
/** What AppAPI sets; an admin only for development and service mode. */
export const appApiTable = tableOf("AppAPI")

if (import.meta.main) process.stdout.write(`${adminTable}\n\nSet by AppAPI:\n\n${appApiTable}\n`)
