/** Writes ONNX models: the fields of the protobuf that a small model needs (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). */

export const FLOAT = 1
export const INT64 = 7

export interface Node {
  readonly op: string
  readonly in: ReadonlyArray<string>
  readonly out: ReadonlyArray<string>
  readonly attributes?: Readonly<Record<string, number | ReadonlyArray<number>>>
}
export interface Tensor {
  readonly name: string
  readonly dims: ReadonlyArray<number>
  readonly data: Float32Array | BigInt64Array
}
export interface Port {
  readonly name: string
  readonly type: typeof FLOAT | typeof INT64
  /** A text is a dimension of any size. */
  readonly dims: ReadonlyArray<number | string>
}
export interface Model {
  readonly nodes: ReadonlyArray<Node>
  readonly constants: ReadonlyArray<Tensor>
  readonly inputs: ReadonlyArray<Port>
  readonly outputs: ReadonlyArray<Port>
  readonly metadata: Readonly<Record<string, string | number>>
}

const varint = (value: bigint): Uint8Array => {
  const bytes: Array<number> = []
  for (let rest = BigInt.asUintN(64, value); ; rest >>= 7n) {
    const low = Number(rest & 0x7fn)
    if (rest < 0x80n) return Uint8Array.from([...bytes, low])
    bytes.push(low | 0x80)
  }
}
const int = (field: number, value: number): Buffer => Buffer.concat([varint(BigInt(field << 3)), varint(BigInt(value))])
const bytes = (field: number, value: Uint8Array): Buffer =>
  Buffer.concat([varint(BigInt((field << 3) | 2)), varint(BigInt(value.length)), value])
const text = (field: number, value: string): Buffer => bytes(field, Buffer.from(value))
const message = (field: number, ...parts: ReadonlyArray<Buffer>): Buffer => bytes(field, Buffer.concat(parts))

const port = ({ dims, name, type }: Port): Buffer => {
  const shape = dims.map((dim) => message(1, typeof dim === "number" ? int(1, dim) : text(2, dim)))
  return Buffer.concat([text(1, name), message(2, message(1, int(1, type), message(2, ...shape)))])
}
const attribute = (name: string, value: number | ReadonlyArray<number>): Buffer =>
  typeof value === "number"
    ? message(5, text(1, name), int(3, value), int(20, 2))
    : message(5, text(1, name), ...value.map((one) => int(8, one)), int(20, 7))
const node = (one: Node, index: number): Buffer =>
  message(
    1,
    ...one.in.map((name) => text(1, name)),
    ...one.out.map((name) => text(2, name)),
    text(3, `${one.op}_${index}`),
    text(4, one.op),
    ...Object.entries(one.attributes ?? {}).map(([name, value]) => attribute(name, value))
  )
const tensor = ({ data, dims, name }: Tensor): Buffer =>
  message(
    5,
    ...dims.map((dim) => int(1, dim)),
    int(2, data instanceof Float32Array ? FLOAT : INT64),
    text(8, name),
    bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  )

/** The file of a model, opset 13. */
export const encode = ({ constants, inputs, metadata, nodes, outputs }: Model): Buffer =>
  Buffer.concat([
    int(1, 8),
    text(2, "parlance"),
    message(
      7,
      ...nodes.map(node),
      text(2, "tiny"),
      ...constants.map(tensor),
      ...inputs.map((one) => message(11, port(one))),
      ...outputs.map((one) => message(12, port(one)))
    ),
    message(8, text(1, ""), int(2, 13)),
    ...Object.entries(metadata).map(([key, value]) => message(14, text(1, key), text(2, String(value))))
  ])
