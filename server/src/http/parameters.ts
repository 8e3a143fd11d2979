import { Refusal } from "../errors.ts";

/** Parameters that one request may bring in its query, and as many in its body. */
const maxParameters = 200;
const lists: ReadonlySet<string> = new Set(["mail", "to"]);

/**
 * The parameters of one request by name. An empty value counts as one that was not given. Everything that reads a value
 * throws `invalid_parameter` with the parameter's name when the value is not what is asked for.
 */
export class Parameters {
  readonly #values = new Map<string, string[]>();
  #count = 0;

  /** Parses a query string or a form body (`application/x-www-form-urlencoded`). Throws `invalid_parameter`. */
  static parse(text: string): Parameters {
    const parameters = new Parameters();
    if (text === "") return parameters;
    for (const pair of text.split("&", maxParameters + 1)) {
      const equals = pair.indexOf("=");
      const name = decode(equals < 0 ? pair : pair.slice(0, equals));
      parameters.add(name, equals < 0 ? "" : decode(pair.slice(equals + 1)));
    }
    return parameters;
  }

  /** Parses the query of a request target. Throws `invalid_parameter`. */
  static ofTarget(target: string): Parameters {
    const mark = target.indexOf("?");
    return Parameters.parse(mark < 0 ? "" : target.slice(mark + 1));
  }

  /** Adds a value. Throws `invalid_parameter` for nested names (`a[b]`) and beyond the limit. */
  add(name: string, value: string): void {
    if (++this.#count > maxParameters) throw fault(`more than ${maxParameters} parameters`);
    if (name.includes("[")) throw fault("nested names are not supported");
    if (value === "") return;
    const values = this.#values.get(name);
    if (values === undefined) this.#values.set(name, [value]);
    else if (lists.has(name)) values.push(value);
    // Two values for one thing: whoever checked the first must not find that the second one was used.
    else throw fault(`${shown(name)} is given twice`);
  }

  /** Adds the values of `other` for the names that are not here yet, and answers itself. */
  or(other: Parameters): Parameters {
    for (const [name, values] of other.#values) {
      if (!this.#values.has(name)) this.#values.set(name, values);
    }
    return this;
  }

  /** Every value of `mail`, which may be repeated. */
  get mail(): readonly string[] {
    return this.#values.get("mail") ?? [];
  }

  /** Every value of `to`, which may be repeated. */
  get to(): readonly string[] {
    return this.#values.get("to") ?? [];
  }

  text(name: string): string | undefined {
    return this.#values.get(name)?.[0];
  }

  /** One of these words. */
  choice<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const text = this.text(name);
    const found = words.find((word) => word === text);
    if (text === undefined || found !== undefined) return found;
    throw fault(`${name} is not one of ${words.join(", ")}`);
  }

  /** A whole number from `min` to `max`. */
  integer(name: string, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw fault(`${name} is not a whole number ${range}`);
  }

  /** Seconds, fractions allowed, as milliseconds. */
  secondsAsMs(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (!/^\d{1,9}(?:\.\d{1,9})?$/.test(text)) throw fault(`${name} is not a number of seconds`);
    return Number(text) * 1000;
  }
}

function decode(text: string): string {
  // Most of them, at a tenth of the price.
  if (!text.includes("%") && !text.includes("+")) return text;
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw fault("malformed percent-encoding");
  }
}

function shown(name: string): string {
  return /^[a-z_]{1,32}$/.test(name) ? name : "a parameter";
}

function fault(detail: string): Refusal {
  return new Refusal("invalid_parameter", { detail });
}
