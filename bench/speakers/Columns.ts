/**
 * Tables of a line for each run.
 */

export interface Column<Cost> {
  readonly head: string
  /** Characters, with what keeps it off the column before. */
  readonly width: number
  readonly of: (cost: Cost, before: ReadonlyArray<Cost>) => string
}

export const whole = (value: number): string => value.toFixed(0)
export const tenths = (value: number): string => value.toFixed(1)

export const headOf = <Cost>(columns: ReadonlyArray<Column<Cost>>): string =>
  columns.map(({ head, width }) => head.padStart(width)).join("")

/** `before`: the runs of the same series so far. */
export const lineOf = <Cost>(
  columns: ReadonlyArray<Column<Cost>>,
  cost: Cost,
  before: ReadonlyArray<Cost> = []
): string => columns.map(({ of, width }) => of(cost, before).padStart(width)).join("")
