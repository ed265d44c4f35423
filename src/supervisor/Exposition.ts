/**
 * Several texts of metrics (Prometheus' exposition format 0.0.4) as one: what has the same name and labels is added, which is right for
 * counters, for histograms of the same boundaries, and for gauges that count things.
 */

interface Family {
  /** `# HELP`, `# TYPE`. */
  readonly head: Array<string>
  readonly type: string
  readonly samples: Map<string, number>
}

type Families = Map<string, Family>

export const merge = (texts: ReadonlyArray<string>): string => {
  const families: Families = new Map()
  for (const text of texts) add(families, text)
  return write(families.values())
}

/** What of the metrics of a process that is gone still counts: what it has counted, and nothing that it had. */
export const counted = (text: string): string => {
  const families: Families = new Map()
  add(families, text)
  return write([...families.values()].filter(({ type }) => type === "counter" || type === "histogram"))
}

const add = (families: Families, text: string): void => {
  let current: Family | undefined
  for (const line of text.split("\n")) {
    if (line === "") continue
    if (line.startsWith("# ")) {
      const [, , name = "", type = ""] = line.split(" ", 4)
      const isType = line.startsWith("# TYPE ")
      current = families.get(name)
      if (current === undefined || (isType && current.type === "")) {
        current = { head: [...(current?.head ?? []), line], type: isType ? type : "", samples: new Map() }
        families.set(name, current)
      }
      continue
    }
    const end = line.lastIndexOf(" ")
    const key = line.slice(0, end)
    const value = Number(line.slice(end + 1).replace("Inf", "Infinity"))
    current?.samples.set(key, (current.samples.get(key) ?? 0) + value)
  }
}

const write = (families: Iterable<Family>): string => {
  const lines: Array<string> = []
  for (const { head, samples } of families) {
    lines.push(...head)
    for (const [key, value] of samples) lines.push(`${key} ${textOf(value)}`)
  }
  return `${lines.join("\n")}\n`
}

const textOf = (value: number): string =>
  Number.isFinite(value) ? String(value) : Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf"
