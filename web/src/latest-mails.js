// A classic script, so that the page works when it is opened from disk: browsers load no module from a file: URL.
"use strict";

/** @import { SeedError, SeedMail, SeedMailList } from "@catmails/client" */

/**
 * Reads the latest mails of one mailbox. The key travels in a header only, so that it stays out of URLs and their logs.
 * @param {{ server: string, key: string, mail: string }} ask
 * @returns {Promise<SeedMail[]>}
 * @throws {Error} with the server's own words when it refuses, or when nothing answers.
 */
async function readLatest({ server, key, mail }) {
  const url = new URL("/api", server);
  url.searchParams.set("type", "getmails");
  url.searchParams.set("mail", mail);
  const response = await fetch(url, { headers: { Authorization: `Bearer ${key}` }, cache: "no-store" }).catch(() => {
    throw new Error(`Nothing answers at ${url.origin}. Is the server running?`);
  });
  const answer = /** @type {SeedMailList | SeedError} */ (await response.json());
  if (!answer.success) throw new Error(answer.error);
  return answer.data;
}

/**
 * One mail as an element. Everything goes in as text: a mail never becomes markup.
 * @param {SeedMail} mail
 */
function mailElement(mail) {
  const article = document.createElement("article");
  article.append(
    element("h2", mail.subject === "" ? "(no subject)" : mail.subject),
    element("p", `${mail.mail_from} to ${mail.mail_to}, ${mail.received_at}`),
    element("pre", mail.content),
  );
  return article;
}

/**
 * @param {string} name
 * @param {string} text
 */
function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/**
 * @param {FormData} fields
 * @param {string} name
 */
function field(fields, name) {
  const value = fields.get(name);
  return typeof value === "string" ? value.trim() : "";
}

/** @param {HTMLFormElement} form */
async function show(form) {
  const fields = new FormData(form);
  const status = document.querySelector("#status");
  const list = document.querySelector("#mails");
  if (status === null || list === null) return;
  status.textContent = "Reading…";
  try {
    const mails = await readLatest({
      server: field(fields, "server"),
      key: field(fields, "key"),
      mail: field(fields, "mail"),
    });
    list.replaceChildren(...mails.map(mailElement));
    status.textContent = mails.length === 0 ? "No mail yet." : "";
  } catch (error) {
    list.replaceChildren();
    status.textContent = error instanceof Error ? error.message : String(error);
  }
}

document.querySelector("#ask")?.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.currentTarget instanceof HTMLFormElement) void show(event.currentTarget);
});
