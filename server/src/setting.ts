/** One configuration key: what a person may write, and what it is for. */
export interface Setting {
  kind:
    | "text"
    | "secret"
    | "path"
    | "host"
    | "port"
    | "networks"
    | "count"
    | "bytes"
    | "duration"
    | "domain"
    | "domains"
    | "servers"
    | "address"
    | "choice";
  /** As a person writes it; `null`: derived from another key, made at the first start, or off, as `about` says. */
  fallback: string | null;
  /** Stays `null` when nothing is given. */
  isOptional?: true;
  choices?: readonly string[];
  /** Of `networks`: may also be the word `none`. */
  orNone?: true;
  /** Smallest number (or milliseconds, or bytes) that makes sense; default 0. */
  min?: number;
  about: string;
}
