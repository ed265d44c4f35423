/**
 * Views of the beginning of one piece of memory: each length has one, which is made when it is first asked for. A view for every packet would be
 * the larger part of the garbage that packets make.
 */
export interface ByteViews {
  /** The first `bytes` of the memory, in the same view every time; where it has less, memory of its own, new every time. */
  readonly of: (bytes: number) => Uint8Array
}

export const make = (memory: Uint8Array): ByteViews => {
  const views: Array<Uint8Array | undefined> = new Array(memory.length + 1).fill(undefined)
  const viewOf = (bytes: number): Uint8Array => {
    const view = memory.subarray(0, bytes)
    views[bytes] = view
    return view
  }
  return { of: (bytes) => (bytes > memory.length ? new Uint8Array(bytes) : (views[bytes] ?? viewOf(bytes))) }
}
