/**
 * Processes that a test has started end with the test's process at the latest, however that ends: one that is cut off cleans up nothing, and a
 * server that it has frozen would stay for ever.
 */
import { type ChildProcess, spawn } from "node:child_process"

/** Reads "+ pid folder" and "- pid" until nobody writes any more; those that are left are killed with their children, stopped or not. */
const WATCH = `
folders=""
while read -r sign pid folder; do
  case $sign in
    +) folders="$folders $pid:$folder" ;;
    -) folders=$(printf '%s\\n' $folders | grep -v "^$pid:") ;;
  esac
done
for one in $folders; do
  pid=\${one%%:*}
  kill -KILL $pid $(cat /proc/$pid/task/$pid/children)
  folder=\${one#*:}
  [ -z "$folder" ] || rm -rf "$folder"
done`

let watcher: ChildProcess | undefined

/** In a group of its own: what ends the test's group leaves it. */
const tell = (line: string) => {
  if (watcher === undefined) {
    watcher = spawn("sh", ["-c", WATCH], { stdio: ["pipe", "ignore", "ignore"], detached: true })
    watcher.unref()
  }
  watcher.stdin?.write(`${line}\n`)
}

/** This process, and its folder, are gone when this one is; until `release` is called, once it has ended. The path has no spaces. */
export const watch = (pid: number, folder = ""): { readonly release: () => void } => {
  tell(`+ ${pid} ${folder}`)
  return { release: () => tell(`- ${pid}`) }
}
