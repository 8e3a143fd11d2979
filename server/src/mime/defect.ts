/**
 * What was wrong with a mail, by name. Defects inform the reader; none of them loses the mail, whose raw stays as it is.
 *
 * - `too_many_parts`, `too_deep`, `too_deep_message`: a cap of {@link mimeLimits} was met; what lies beyond was not taken apart.
 * - `header_too_long`: a header block is over its bytes or lines; the fields beyond were ignored.
 * - `header_value_too_long`: a value was cut before it was read.
 * - `malformed_header`: a line of a header block is neither a field nor the continuation of one; it was ignored.
 * - `repeated_content_type`: a part has more than one Content-Type; the last that has parameters counts.
 * - `missing_boundary`: a multipart without a usable boundary (RFC 2046 section 5.1.1); its body was left alone.
 * - `unclosed_multipart`: the end boundary is missing.
 * - `unknown_encoding`: an unknown Content-Transfer-Encoding; the bytes were taken as they are.
 * - `not_base64`: what is declared as base64 is something else; the bytes were taken as they are.
 * - `unknown_charset`: the charset is not known; UTF-8 or windows-1252 was assumed.
 * - `content_too_long`: the text of the mail was cut at the limit; all of it is in raw.
 * - `html_too_long`: HTML was turned into text up to the limit only.
 * - `parse_timeout`, `parse_failed`, `parser_busy`: only the header of the mail was read, because parsing took too long,
 *   broke, or too many big mails were waiting.
 */
export type Defect =
  | "too_many_parts"
  | "too_deep"
  | "too_deep_message"
  | "header_too_long"
  | "header_value_too_long"
  | "malformed_header"
  | "repeated_content_type"
  | "missing_boundary"
  | "unclosed_multipart"
  | "unknown_encoding"
  | "not_base64"
  | "unknown_charset"
  | "content_too_long"
  | "html_too_long"
  | "parse_timeout"
  | "parse_failed"
  | "parser_busy";

/** The caps that keep the cost of one mail in bounds, whatever it holds. */
export const mimeLimits = {
  /** Multiparts inside each other. */
  multipartDepth: 100,
  /** Messages attached to each other (message/rfc822). */
  messageDepth: 10,
  /** Parts of one mail, multiparts and the mail itself included. */
  parts: 1000,
  /** Octets of one header block. */
  headerBytes: 1024 * 1024,
  /** Lines of one header block. */
  headerLines: 1000,
  /** Octets of one header value that are read; the libraries that read it are not linear. */
  headerValueBytes: 16 * 1024,
  /** Characters of HTML that are turned into text. */
  htmlChars: 8 * 1024 * 1024,
  /**
   * Characters of a mail's text. Everybody who reads the mail gets all of it at once: 24 MiB of text took 0.8 s of the
   * event loop for one answer, and up to 150 MB for each slow reader.
   */
  contentChars: 1024 * 1024,
} as const;
