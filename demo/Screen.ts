/**
 * What is printed: live captions with names, and the closing table.
 */
import type { WriteStream } from "node:tty"
import type { SimulatedViewer } from "../src/layers/SimulatedViewer.ts"
import type { Latencies, Percentiles, Verdict } from "./Score.ts"

export interface Screen {
  readonly say: (text: string) => void
  /** Prints what this viewer reads: in place on a terminal, finished lines elsewhere. */
  readonly follow: (viewer: SimulatedViewer, nameOf: (speaker: string) => string) => void
  readonly table: (verdicts: ReadonlyArray<Verdict>, spoken: number, latencies: Latencies) => void
}

const clearLine = "\r\u001b[2K"

/** Prints to this stream. */
export const make = (out: WriteStream): Screen => {
  /** The unfinished line of a terminal. */
  let open = ""
  const line = (text: string) => {
    out.write(open === "" ? `${text}\n` : `${clearLine}${text}\n`)
    open = ""
  }
  /** The newest words matter when the line is too long for the terminal. */
  const redraw = (name: string, text: string) => {
    const room = Math.max(20, out.columns - name.length - 2)
    open = name + (text.length > room ? `…${text.slice(1 - room)}` : text)
    out.write(`${clearLine}${open}`)
  }

  return {
    say: line,
    follow: (viewer, nameOf) => {
      viewer.onCaption(({ final, message, speakerSessionId }) => {
        const name = `  ${nameOf(speakerSessionId).padEnd(8)} `
        if (final) line(name + message)
        else if (out.isTTY) redraw(name, `${message} …`)
      })
    },
    table: (verdicts, spoken, latencies) => {
      line("")
      line("  reader    spoken captioned   lost twice wrong name out of order rewritten")
      for (const one of verdicts) {
        const numbers = [
          pad(spoken, 6),
          pad(one.captioned, 9),
          pad(one.lost, 6),
          pad(one.duplicated, 5),
          pad(one.wrongSpeaker, 10),
          pad(one.disordered, 12),
          pad(one.rewritten, 9)
        ]
        line(`  ${one.reader.padEnd(9)} ${numbers.join(" ")}`)
      }
      line("")
      line("  last sound of a word → first caption with it                       p50      p99")
      line(row("as the reader feels it, with the engine's half second", latencies.felt))
      line(row("the service's own share, one speaker at a time", latencies.own))
      line(row("the same in cross-talk, where captions take turns", latencies.ownInCrossTalk))
    }
  }
}

const pad = (value: number, width: number) => String(value).padStart(width)

const row = (what: string, { p50, p99 }: Percentiles) => `  ${what.padEnd(60)} ${pad(p50, 5)} ms ${pad(p99, 5)} ms`
