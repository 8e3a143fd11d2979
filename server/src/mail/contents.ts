import { setImmediate as nextTurn } from "node:timers/promises";
import type { MailParser, MailSummary } from "../mime/mime.ts";
import type { ListedMail, MailDetails, MailQuery, MailRecord, ReadContent, Store } from "../store/store.ts";

/** One mail with everything that the store knows of it but its raw bytes, its content read. */
export type ReadDetails = Omit<Exclude<MailDetails, { content: null }>, "isKept">;

export interface ContentsOptions {
  store: Pick<Store, "listMails" | "describeMail" | "recordContents">;
  parser: Pick<MailParser, "summarize">;
  /** Whether contents may be stored: left out where nobody watches the disk. */
  disk?: { readonly isLow: boolean };
}

/** Time spent on reading contents before the event loop gets its turn. */
const sliceMs = 5;
/** Contents that were read go to the store together, so that somebody who asks every moment costs few commits. */
const recordDelayMs = 1_000;
/** Or once they have so many characters. */
const recordChars = 4 * 1024 * 1024;

/**
 * Mails with their content. Most mails are never looked at, so that the content of one that was stored while nobody followed is read
 * from its raw bytes when it is asked for first, and kept in the store for all who ask later. What is asked for by many at
 * once is read once.
 */
export class Contents implements AsyncDisposable {
  readonly #options: ContentsOptions;
  /** Of mails that are being read, or were read and are not stored yet; by user and id. */
  readonly #known = new Map<string, Promise<MailSummary>>();
  #unrecorded: ReadContent[] = [];
  #unrecordedChars = 0;
  #recording: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ContentsOptions) {
    this.#options = options;
  }

  /** Store.listMails, each mail with its content. */
  list(query: MailQuery): MailRecord[] | Promise<MailRecord[]> {
    const page = this.#options.store.listMails(query);
    return page instanceof Promise ? page.then((mails) => this.#complete(query, mails)) : this.#complete(query, page);
  }

  /** Store.describeMail, with its content. */
  async describe(key: Parameters<Store["describeMail"]>[0]): Promise<ReadDetails | null> {
    const mail = await this.#options.store.describeMail(key);
    if (mail === null || mail.content !== null) return mail;
    const { raw, ...details } = mail;
    const { content, defects } = await this.#read(key.userId, mail.id, raw);
    return { ...details, content, defects: [...defects] };
  }

  /** Stores what was read and is not stored yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#record();
  }

  #complete(query: MailQuery, page: ListedMail[]): MailRecord[] | Promise<MailRecord[]> {
    return page.every(isParsed) ? page : this.#readPage(query, page);
  }

  async #readPage({ userId, maxChars }: MailQuery, page: readonly ListedMail[]): Promise<MailRecord[]> {
    const mails: MailRecord[] = [];
    let chars = 0;
    let startedMs = performance.now();
    for (const mail of page) {
      const parsed = isParsed(mail) ? mail : await this.#readMail(userId, mail);
      mails.push(parsed);
      chars += parsed.subject.length + parsed.content.length;
      if (chars >= maxChars) break;
      if (performance.now() - startedMs < sliceMs) continue;
      await nextTurn();
      startedMs = performance.now();
    }
    return mails;
  }

  async #readMail(userId: number, { raw, ...mail }: Extract<ListedMail, { content: null }>): Promise<MailRecord> {
    const { content } = await this.#read(userId, mail.id, raw);
    return { ...mail, content };
  }

  #read(userId: number, id: number, raw: Uint8Array): Promise<MailSummary> {
    const name = nameOf({ userId, id });
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    // Never rejects.
    const reading = Promise.resolve(this.#options.parser.summarize(raw));
    this.#known.set(name, reading);
    void reading.then(({ content, defects }) => this.#keep({ userId, id, content, defects }));
    return reading;
  }

  #keep(read: ReadContent): void {
    const isFull = this.#unrecordedChars >= recordChars;
    // Whoever asks next may find the parser or the store less busy, and the disk less full.
    if (read.defects.includes("parser_busy") || this.#options.disk?.isLow === true || isFull) {
      this.#known.delete(nameOf(read));
      return;
    }
    this.#unrecorded.push(read);
    this.#unrecordedChars += read.content.length;
    if (this.#unrecordedChars >= recordChars) void this.#record();
    else this.#timer ??= setTimeout(() => void this.#record(), recordDelayMs).unref();
  }

  /** Resolves when everything is stored that was read by then, and what is read meanwhile. */
  #record(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#unrecorded.length > 0) this.#recording ??= this.#recordAll();
    return this.#recording ?? Promise.resolve();
  }

  async #recordAll(): Promise<void> {
    while (this.#unrecorded.length > 0) {
      const contents = this.#unrecorded;
      this.#unrecorded = [];
      this.#unrecordedChars = 0;
      try {
        await this.#options.store.recordContents(contents);
      } catch {
        // The store has said what is wrong. Raw still holds them all, and whoever asks next reads them again.
      }
      for (const read of contents) this.#known.delete(nameOf(read));
    }
    this.#recording = null;
  }
}

function isParsed(mail: ListedMail): mail is MailRecord {
  return mail.content !== null;
}

function nameOf({ userId, id }: { userId: number; id: number }): string {
  return `${userId} ${id}`;
}
