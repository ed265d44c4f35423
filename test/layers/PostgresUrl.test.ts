import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import * as PostgresUrl from "../../src/layers/PostgresUrl.ts"

const parsed = (given: string) => {
  const url = PostgresUrl.parse(given)
  if (url === undefined) throw new Error(`${given} was not taken`)
  return url
}

describe("the address of a PostgreSQL", () => {
  for (const [given, host, port] of [
    ["postgres://parlance:secret@db.example.com/parlance", "db.example.com", 5432],
    ["postgresql://parlance@10.0.0.7:6543/parlance?sslmode=require", "10.0.0.7", 6543],
    ["postgres://parlance@[fd00::7]/parlance", "fd00::7", 5432]
  ] as const) {
    it(`is connected to as it says: ${given}`, () => {
      const to = PostgresUrl.destinationOf(parsed(given))
      assert.deepStrictEqual({ host: "host" in to && to.host, port: "port" in to && to.port }, { host, port })
      assert.strictEqual(PostgresUrl.nameOf(parsed(given)), `${host}:${port}/parlance`)
    })
  }

  it("may be a socket of this machine", () => {
    const to = PostgresUrl.destinationOf(parsed("postgres:///parlance?host=/run/postgresql&user=parlance"))
    assert.deepStrictEqual(to, { path: "/run/postgresql/.s.PGSQL.5432" })
  })

  it("is not taken where something is missing or cannot be read", () => {
    for (const given of [
      "",
      "parlance",
      "https://db.example.com/parlance",
      "postgres://db.example.com/parlance",
      "postgres://parlance:%zz@db.example.com/parlance",
      "postgres://parlance@db.example.com/",
      "postgres://parlance@db.example.com:0/parlance",
      "postgres://parlance@db.example.com/parlance?port=70000",
      "postgres://parlance@db.example.com/parlance?sslmode=yes"
    ]) {
      assert.isUndefined(PostgresUrl.parse(given), given)
    }
  })

  it("is known to leave a network to listen in on, unless that is said", () => {
    const isPlain = (given: string) => PostgresUrl.isPlain(parsed(given))
    assert.isTrue(isPlain("postgres://parlance@db.example.com/parlance"))
    for (const end of ["localhost/parlance", "db.example.com/parlance?sslmode=disable", "[::1]/parlance"]) {
      assert.isFalse(isPlain(`postgres://parlance@${end}`))
    }
  })

  it("shows no password", () => {
    const url = parsed("postgres://parlance:s3cret@db.example.com/parlance")
    assert.notInclude(`${url} ${JSON.stringify(url)} ${PostgresUrl.nameOf(url)}`, "s3cret")
    assert.include(Redacted.value(url), "s3cret")
  })
})
