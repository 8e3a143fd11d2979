/** Refusals of Cat Mails that no other try will change: the sender gets a bounce. Everything else is tried again. */
const finalCodes = new Set([
  "unknown_mailbox",
  "foreign_domain",
  "mail_too_large",
  "mail_never_fits",
  "mail_looping",
  "raw_missing",
]);

/**
 * What Cloudflare hands over, as far as it is used: the envelope, and the mail as it came.
 * @typedef {{ from: string, to: string, raw: ReadableStream<Uint8Array>, setReject(reason: string): void }} EmailMessage
 */

/** @typedef {{ success?: boolean, code?: string, error?: string }} Answer */

/** @typedef {{ INGEST_URL: string, INGEST_KEY: string }} Settings */

/**
 * A Cloudflare email worker: hands each mail, as it came, to `POST /v1/ingest` of a Cat Mails server.
 *
 * `env.INGEST_URL` is the whole address (`https://mails.example.com/v1/ingest`), `env.INGEST_KEY` an ingest key. It resolves
 * once the server has the mail on disk or has refused it for good; it throws when the sender should try again, which
 * Cloudflare turns into a temporary SMTP error.
 */
export default {
  /**
   * @param {EmailMessage} message
   * @param {Settings} env
   */
  async email(message, env) {
    const url = new URL(env.INGEST_URL);
    url.searchParams.set("from", message.from);
    url.searchParams.set("to", message.to);
    const response = await fetch(url, {
      method: "POST",
      headers: { authorization: `Bearer ${env.INGEST_KEY}`, "content-type": "message/rfc822" },
      body: message.raw,
      // Streamed: a mail of 25 MiB would take a good part of a worker's memory. Node and browsers ask for this word.
      duplex: "half",
      // A server that moved is a mistake to mend, not a place to send mails to.
      redirect: "manual",
    });
    const answer = /** @type {Answer} */ (await response.json().catch(() => ({})));
    const { success = false, code = "", error = "" } = answer;
    // A page that something in between made says 200 as well.
    if (response.status === 200 && success) return;
    if (finalCodes.has(code)) message.setReject(error);
    // Neither the address nor the answer's text: errors are logged.
    else throw new Error(`Cat Mails answered ${response.status} ${code}`);
  },
};
