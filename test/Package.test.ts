import { execFileSync } from "node:child_process"
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"

const project = fileURLToPath(new URL("..", import.meta.url))
const manifest = JSON.parse(readFileSync(join(project, "package.json"), "utf8"))

/** Output of a command; what it printed is in the error when it fails. */
const run = (folder: string, command: string, ...args: ReadonlyArray<string>): string => {
  try {
    return execFileSync(command, args, { cwd: folder, encoding: "utf8", stdio: "pipe" })
  } catch (error) {
    if (error instanceof Error && "stdout" in error) throw new Error(`${error.message}\n${String(error.stdout)}`)
    throw error
  }
}

const settings = {
  compilerOptions: {
    target: "es2024",
    module: "nodenext",
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: false,
    types: ["node"]
  },
  include: ["*.ts"]
}

describe("the package", () => {
  it("installs into an empty project, type-checks there and runs an embedding program", { timeout: 600_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), "parlance-package-"))
    try {
      run(project, "npm", "run", "--silent", "build")
      const packed = run(project, "npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", folder).trim()
      writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "embedder", private: true, type: "module" }))
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(settings))
      copyFileSync(join(project, "examples/simulated.ts"), join(folder, "simulated.ts"))
      copyFileSync(join(project, "examples/embed.ts"), join(folder, "embed.ts"))
      const wanted = ["effect", "@effect/platform-node", "typescript", "@types/node"].map(
        (name) => `${name}@${manifest.devDependencies[name]}`
      )
      run(
        folder,
        "npm",
        "install",
        "--silent",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--prefer-offline",
        `./${packed}`,
        ...wanted
      )
      run(folder, process.execPath, "node_modules/typescript/bin/tsc")
      // a machine that stands still in mid-sentence makes two of it
      assert.match(run(folder, process.execPath, "simulated.ts"), /^hello\b/m)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it("shows the example of the README as it is in the repository", () => {
    const example = readFileSync(join(project, "examples/embed.ts"), "utf8")
    assert.include(readFileSync(join(project, "README.md"), "utf8"), example.trim())
  })
})
