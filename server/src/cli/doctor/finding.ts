/** What a doctor found: `note` is worth knowing, `bad` has to be mended. */
export interface Finding {
  check: string;
  verdict: "good" | "note" | "bad";
  detail: string;
}
