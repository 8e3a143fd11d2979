import type { MailDetails } from "@catmails/client";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { TimeFormatter } from "../clock.ts";
import { Refusal } from "../errors.ts";
import type { AccessControl } from "../mail/access.ts";
import type { Reader } from "../mail/reading.ts";
import type { AnswerTurn } from "./answer-turn.ts";
import { answerOptions } from "./cors.ts";
import { mailDetails } from "./mail-details.ts";
import { Parameters } from "./parameters.ts";
import { PresentedKey } from "./presented-key.ts";
import type { UnreadAnswers } from "./unread-answers.ts";

export interface MailApiOptions {
  access: AccessControl;
  reader: Reader;
  formatTime: TimeFormatter;
  unread: UnreadAnswers;
  turn: AnswerTurn;
}

/** `GET /v1/mails/{id}`: one mail with what is known of where it came from. Absent, foreign and out of scope are one 404. */
export class MailApi {
  readonly #options: MailApiOptions;

  constructor(options: MailApiOptions) {
    this.#options = options;
  }

  /** Adds the route; HEAD comes with GET. */
  serve(app: FastifyInstance): void {
    app.get("/v1/mails/:id", (request, reply) => this.#answer(request, reply));
    app.options("/v1/mails/:id", (_request, reply) => answerOptions(reply));
  }

  async #answer(request: FastifyRequest, reply: FastifyReply): Promise<MailDetails> {
    const { access: control, reader, formatTime, unread, turn } = this.#options;
    const parameters = Parameters.ofTarget(request.raw.url ?? "");
    const access = await new PresentedKey(request.headers.authorization, parameters).authenticate(control);
    const { id } = request.params as { id: string };
    unread.admit(access.userId);
    const mail = /^\d{1,15}$/.test(id) ? await reader.view(access, Number(id)) : null;
    if (mail === null) throw new Refusal("not_found");
    unread.hold(access.userId, Buffer.byteLength(mail.subject) + Buffer.byteLength(mail.content), reply.raw);
    await turn.over();
    return { success: true, ...mailDetails(mail, formatTime) };
  }
}
