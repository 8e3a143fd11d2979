/** A fault that the operator can mend: one line, no stack. */
export class StartError extends Error {
  override name = "StartError";
}
