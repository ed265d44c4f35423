/**
 * The first process of a container ignores signals that it does not listen to. Until the service does, half a second after its start, there is
 * nothing to finish: it ends at once.
 */
const signals = ["SIGTERM", "SIGINT"]
const end = () => process.exit(0)
for (const signal of signals) process.on(signal, end)
process.on("newListener", (name) => {
  if (signals.includes(name)) process.off(name, end)
})
