/** A place that is to hold what one program remembers holds something else, by its message: nothing is read there, nor begun. */
export class StateUnfit extends Error {
  override readonly name = 'StateUnfit'
}
