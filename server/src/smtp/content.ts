import type { Logger } from "../log.ts";
import type { ByteBudget } from "./byte-budget.ts";
import type { SmtpMetrics } from "./metrics.ts";
import { Pieces } from "./pieces.ts";
import type { Spool } from "./spool.ts";
import { SpooledContent } from "./spooled-content.ts";

/** Why the content of a mail is not taken. */
export type ContentRefusal = "bad_line_ends" | "too_large" | "no_room";

export type ContentResult = { kind: "mail"; raw: Buffer<ArrayBuffer> } | { kind: ContentRefusal };

/** How mails leave memory while they come in. */
export interface Spooling {
  spool: Spool;
  /** Content beyond this size goes to a file, unless there is plenty of memory and it is no more than a few times as large. */
  afterBytes: number;
  log: Logger;
  metrics: SmtpMetrics | undefined;
}

/** How many times `afterBytes` a mail may be held in memory. To write 2 MB to a file and read them back is a fifth of what they cost. */
const plentyTimes = 8;

/**
 * What has arrived of one mail, whichever command brings it: counted against its limit and the budget as it comes, and
 * held once, in memory while it is small and in a file from `afterBytes` on, or from 8 times that where the budget has plenty of
 * room when it gets there. Once refused it holds nothing and only counts on.
 *
 * When the budget is full, the mail waits for room if the house is about to give some back, and goes to a file otherwise.
 * So no sender can hold up another, and none is refused while there is room on the disk. Without spooling it is `no_room`.
 */
export class MailContent {
  /** Content bytes so far, those of a refused mail included. */
  bytes = 0;
  readonly #maxBytes: number;
  readonly #budget: ByteBudget;
  readonly #spooling: Spooling | null;
  readonly #pieces = new Pieces();
  #spooled: SpooledContent | null = null;
  #holdUp: Promise<void> | null = null;
  #heldBytes = 0;
  #handedOverBytes = 0;
  #turnBytes = 0;
  /** Read back from the file. */
  #loaded: Buffer<ArrayBuffer> | null = null;
  #isReleased = false;
  #refusal: ContentRefusal | null = null;

  /** `maxBytes`: largest content. A refusal gives the budget back at once, whoever ends the mail otherwise has to. */
  constructor(maxBytes: number, budget: ByteBudget, spooling: Spooling | null) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
    this.#spooling = spooling;
  }

  get refusal(): ContentRefusal | null {
    return this.#refusal;
  }

  /** Bytes taken from the budget. A refusal gives them back at once, whoever ends the mail otherwise has to. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Refuses the mail at once where so many more bytes could not be kept: they come all the same. */
  expect(bytes: number): void {
    if (this.bytes + bytes > this.#maxBytes) this.refuse("too_large");
    else if (this.#spooling === null && !this.#budget.fits(bytes)) this.refuse("no_room");
  }

  /** While this is a promise nothing more may be given to {@link keep}: the sender has to wait. It never rejects. */
  get holdUp(): Promise<void> | null {
    return this.#holdUp;
  }

  /** Takes the next bytes, which must not be changed afterwards. */
  keep(content: Buffer): void {
    this.bytes += content.length;
    if (this.bytes > this.#maxBytes) this.refuse("too_large");
    if (this.#refusal !== null || content.length === 0) return;
    if (this.#spooled !== null) return this.#holdUpWith(this.#spooled.add(content));
    const spooling = this.#spooling;
    const bytes = this.#heldBytes + content.length;
    const isSmall = spooling === null || bytes <= spooling.afterBytes;
    if ((isSmall || this.#mayStay(bytes, content.length, spooling)) && this.#budget.take(content.length)) {
      this.#heldBytes += content.length;
      this.#pieces.add(content);
    } else if (spooling === null) {
      this.refuse("no_room");
    } else {
      this.#pieces.add(content);
      this.#holdUpWith(isSmall ? this.#waitForRoom(content.length, spooling) : this.#moveToSpool(spooling));
    }
  }

  /** Drops what is held; what still comes is counted only. The first reason stays, but for bad line ends, which win. */
  refuse(why: ContentRefusal): void {
    if (this.#refusal === null || why === "bad_line_ends") this.#refusal = why;
    this.release();
  }

  /**
   * Has to be over before {@link take}; `null`: nothing to wait for. A mail from a file waits for its turn to be in memory
   * again, which it keeps until {@link release}. Never rejects.
   */
  settle(): Promise<void> | null {
    return this.#holdUp === null && this.#spooled === null ? null : this.#settle();
  }

  /** The whole mail, or why there is none. To be asked once. */
  take(): ContentResult {
    if (this.#refusal !== null) return { kind: this.#refusal };
    if (this.#loaded !== null) return { kind: "mail", raw: this.#loaded };
    this.#handedOverBytes = this.#heldBytes;
    this.#budget.handOver(this.#heldBytes);
    return { kind: "mail", raw: this.#pieces.take() };
  }

  /** Forgets everything and gives back what it holds: the connection is gone, or the mail is done with. */
  release(): void {
    this.#isReleased = true;
    this.#pieces.clear();
    this.#budget.give(this.#heldBytes, this.#handedOverBytes);
    this.#heldBytes = this.#handedOverBytes = 0;
    this.#spooled?.discard();
    this.#spooled = null;
    this.#loaded = null;
    if (this.#turnBytes > 0) this.#spooling?.spool.turns.leave(this.#turnBytes);
    this.#turnBytes = 0;
  }

  #mayStay(bytes: number, more: number, { afterBytes }: Spooling): boolean {
    return bytes <= plentyTimes * afterBytes && this.#budget.hasPlenty(more);
  }

  #holdUpWith(work: Promise<void> | null): void {
    if (work === null) return;
    const holdUp = work
      .catch((error: unknown) => this.#failToSpool(error))
      .finally(() => {
        this.#holdUp = null;
      });
    this.#holdUp = holdUp;
  }

  async #waitForRoom(bytes: number, spooling: Spooling): Promise<void> {
    if (!(await this.#budget.wait(bytes))) {
      if (!this.#isReleased) await this.#moveToSpool(spooling);
    } else if (this.#isReleased) this.#budget.give(bytes);
    else this.#heldBytes += bytes;
  }

  async #moveToSpool({ spool, metrics }: Spooling): Promise<void> {
    const spooled = new SpooledContent(spool);
    this.#spooled = spooled;
    await spooled.begin(this.#pieces.drain());
    metrics?.mailSpooled();
    this.#budget.give(this.#heldBytes);
    this.#heldBytes = 0;
  }

  #failToSpool(error: unknown): void {
    // A mail that is already refused, or whose sender has gone, has nothing to lose.
    if (this.#isReleased) return;
    this.#spooling?.log.warn({ err: error }, "A mail could not be spooled");
    this.refuse("no_room");
  }

  async #settle(): Promise<void> {
    await this.#holdUp;
    const spooled = this.#spooled;
    if (spooled === null || this.#spooling === null) return;
    await this.#spooling.spool.turns.enter(this.bytes);
    this.#turnBytes = this.bytes;
    try {
      this.#loaded = await spooled.read();
      spooled.discard();
    } catch (error) {
      this.#failToSpool(error);
    }
  }
}
