/** The broker cannot start; the message says what to do. */
export class CannotStart extends Error {
  override readonly name = 'CannotStart'
}
