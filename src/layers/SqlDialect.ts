/**
 * Where the SQL of our tables differs between SQLite and PostgreSQL.
 */
import type * as SqlClient from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"

export interface SqlDialect {
  /** Type of a point in time, in milliseconds. PostgreSQL's integer is too short, and its long one is no number in JavaScript. */
  readonly milliseconds: Fragment
  /** Behind the columns of a small table that is found by its key. */
  readonly tableEnd: Fragment
  /** Behind a SELECT: what it finds stays as it is until the transaction ends. SQLite has one writer at a time. */
  readonly held: Fragment
}

export const of = (sql: SqlClient.SqlClient): SqlDialect => {
  const isPostgres = sql.onDialectOrElse({ pg: () => true, orElse: () => false })
  return {
    milliseconds: sql.literal(isPostgres ? "DOUBLE PRECISION" : "INTEGER"),
    tableEnd: sql.literal(isPostgres ? "" : "WITHOUT ROWID"),
    held: sql.literal(isPostgres ? "FOR SHARE" : "")
  }
}
