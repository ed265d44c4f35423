/**
 * Loaded into a service before it starts (`--import`): where WIRES is "4000=5000", what it would connect to at port 4000 goes through port 5000. Runners
 * name the port at which they listen themselves, so nothing else can be put between two of them without rights on the network.
 */
import { Socket } from "node:net"

const ports = new Map(
  (process.env["WIRES"] ?? "")
    .split(",")
    .filter(Boolean)
    .map((wire) => {
      const [from, to] = wire.split("=").map(Number)
      return [from, to]
    })
)

/** `Socket.connect` takes options, or its arguments as `net.connect` has sorted them. */
const route = (to: unknown): void => {
  const options: unknown = Array.isArray(to) ? to[0] : to
  if (typeof options !== "object" || options === null || !("port" in options)) return
  const port = ports.get(Number(options.port))
  if (port !== undefined) options.port = port
}

Socket.prototype.connect = new Proxy(Socket.prototype.connect, {
  apply: (connect, self, to) => {
    route(to[0])
    return Reflect.apply(connect, self, to)
  }
})
