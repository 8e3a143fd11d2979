/** Why there is no certificate: one line for the operator, as the authority worded it where it said something. */
export class AcmeFault extends Error {
  override name = "AcmeFault";
  /** The authority's name for it (RFC 8555 section 6.7) without its `urn:ietf:params:acme:error:`; `null` where it did not say. */
  readonly type: string | null;
  /** How long the authority asks to be left alone. */
  readonly retryAfterMs: number | null;

  constructor(message: string, options: { type?: string | null; retryAfterMs?: number | null; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.type = options.type ?? null;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}
