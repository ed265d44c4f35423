/**
 * Runs in the browser's audio thread: the first channel's samples become messages of 80 ms of PCM16 (little-endian on every machine that
 * has a browser).
 */

/** 80 ms: the engines' step. */
const framesPerSecond = 12.5

registerProcessor(
  "pcm16",
  class extends AudioWorkletProcessor {
    constructor() {
      super()
      this.size = Math.round(sampleRate / framesPerSecond)
      this.frame = new Int16Array(this.size)
      this.filled = 0
      this.ended = false
      // The rest is asked for at the end; an empty message says that nothing follows.
      this.port.onmessage = () => {
        this.send()
        this.ended = true
        this.port.postMessage(new ArrayBuffer(0))
      }
    }

    send() {
      if (this.filled === 0) return
      const bytes = this.frame.slice(0, this.filled).buffer
      this.filled = 0
      this.port.postMessage(bytes, [bytes])
    }

    /** @param {ReadonlyArray<ReadonlyArray<Float32Array>>} inputs by connection, by channel */
    process([input]) {
      for (const sample of input?.[0] ?? []) {
        this.frame[this.filled++] = Math.max(-1, Math.min(1, sample)) * 32_767
        if (this.filled === this.size) this.send()
      }
      return !this.ended
    }
  }
)
