/**
 * The spectrum and the level of what is heard, drawn while it is heard.
 */
import { element } from "./Elements.js"

/** Bars, spaced as ears hear them between these frequencies. */
const bars = 40
const lowestHz = 80
const highestHz = 8000
/** Level of the meter's left end, dB against full scale. */
const quietestDb = -60
/** Someone who wants less motion gets a meter that moves so often, and no spectrum. */
const calmEveryMs = 500

/** Silence. */
const rest = Array.from({ length: bars }, () => 0)

/** What is drawn while nothing is heard. */
export const showRest = () => drawBars(element("spectrum", HTMLCanvasElement), rest)

/** Shows what an analyser hears. @param {AnalyserNode} analyser @returns {() => void} stops and clears */
export const show = (analyser) => {
  const canvas = element("spectrum", HTMLCanvasElement)
  const meter = element("level", HTMLMeterElement)
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)")
  const frequencies = new Uint8Array(analyser.frequencyBinCount)
  const wave = new Float32Array(analyser.fftSize)
  let frame = 0
  let drawnAtMs = 0

  const draw = (/** @type {number} */ nowMs) => {
    frame = requestAnimationFrame(draw)
    if (isCalm.matches && nowMs - drawnAtMs < calmEveryMs) return
    drawnAtMs = nowMs
    analyser.getFloatTimeDomainData(wave)
    meter.value = 100 * Math.max(0, 1 - decibels(wave) / quietestDb)
    if (isCalm.matches) return
    analyser.getByteFrequencyData(frequencies)
    drawBars(canvas, barsOf(frequencies, analyser.context.sampleRate / analyser.fftSize))
  }
  canvas.dataset["active"] = "true"
  frame = requestAnimationFrame(draw)
  return () => {
    cancelAnimationFrame(frame)
    canvas.dataset["active"] = "false"
    meter.value = 0
    drawBars(canvas, rest)
  }
}

/** Level of the loudest sample. @param {Float32Array} wave */
const decibels = (wave) => {
  let peak = 0
  for (const sample of wave) peak = Math.max(peak, Math.abs(sample))
  return 20 * Math.log10(peak)
}

/** @param {Uint8Array} frequencies @param {number} hzPerBin @returns {Array<number>} 0…1 */
const barsOf = (frequencies, hzPerBin) =>
  Array.from({ length: bars }, (_, at) => {
    const edge = (/** @type {number} */ index) => lowestHz * (highestHz / lowestHz) ** (index / bars)
    const from = Math.floor(edge(at) / hzPerBin)
    const to = Math.max(from + 1, Math.ceil(edge(at + 1) / hzPerBin))
    return Math.max(0, ...frequencies.subarray(from, to)) / 255
  })

/** @param {HTMLCanvasElement} canvas @param {ReadonlyArray<number>} heights */
const drawBars = (canvas, heights) => {
  const pen = canvas.getContext("2d")
  if (pen === null) return
  const scale = devicePixelRatio
  const width = Math.round(canvas.clientWidth * scale)
  const height = Math.round(canvas.clientHeight * scale)
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height })
  pen.clearRect(0, 0, width, height)
  pen.fillStyle = getComputedStyle(canvas).color
  const step = width / bars
  const thick = Math.max(1, step * 0.55)
  heights.forEach((part, at) => {
    const tall = Math.max(thick, part * height)
    pen.beginPath()
    pen.roundRect(at * step + (step - thick) / 2, (height - tall) / 2, thick, tall, thick / 2)
    pen.fill()
  })
}
