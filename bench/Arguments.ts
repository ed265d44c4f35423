/**
 * Reading the command line of a benchmark.
 */

/** What `read` makes of the command line; a text where what is asked for cannot be. */
export const readOr = <A>(read: () => A, usage: string): A | string => {
  try {
    return read()
  } catch (error) {
    return error instanceof Error ? `${error.message}\n${usage}` : usage
  }
}

/** The number, where it lies between the two; throws what to say where it does not. */
export const within = (given: string, name: string, least: number, most: number): number => {
  const value = Number(given)
  if (!(value >= least && value <= most)) throw new Error(`${name} must be ${least} to ${most}`)
  return value
}
