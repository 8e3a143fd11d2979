import { createRequire } from "node:module";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { DatabaseSync } from "node:sqlite";

/** What is used of npm's smtp-server, which is installed elsewhere and brings no types. */
interface SmtpServerPackage {
  SMTPServer: new (options: {
    disabledCommands: string[];
    disableReverseLookup: boolean;
    logger: boolean;
    onData(stream: Readable, session: Session, done: Done): void;
  }) => { listen(port: number, host: string): void };
}

type Done = (error: Error | null) => void;

interface Session {
  envelope: { mailFrom: { address: string } | false; rcptTo: { address: string }[] };
}

interface MailparserPackage {
  simpleParser(
    this: void,
    raw: Buffer,
  ): Promise<{ subject?: string; from?: { text: string }; text?: string; html?: string | false }>;
}

const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE mail (
    id INTEGER PRIMARY KEY, received_at INTEGER, mail_from TEXT, mail_to TEXT, subject TEXT, text TEXT, html TEXT, raw BLOB
  );
  CREATE INDEX mail_by_mailbox ON mail (mail_to, id);
`;

/** Serves as the tutorials have it: collect, parse, insert, answer. */
function serve(packagesDir: string, port: number, databasePath: string): void {
  const load = createRequire(join(packagesDir, "package.json"));
  const { SMTPServer } = load("smtp-server") as SmtpServerPackage;
  const { simpleParser } = load("mailparser") as MailparserPackage;
  const database = new DatabaseSync(databasePath);
  database.exec(schema);
  const insert = database.prepare(
    "INSERT INTO mail (received_at, mail_from, mail_to, subject, text, html, raw) VALUES (?, ?, ?, ?, ?, ?, ?)",
  );
  const store = async (stream: Readable, { envelope }: Session, done: Done): Promise<void> => {
    try {
      const raw = Buffer.concat((await stream.toArray()) as Buffer[]);
      const mail = await simpleParser(raw);
      const html = typeof mail.html === "string" ? mail.html : null;
      database.exec("BEGIN IMMEDIATE");
      for (const { address } of envelope.rcptTo) {
        insert.run(Date.now(), mail.from?.text ?? "", address, mail.subject ?? "", mail.text ?? "", html, raw);
      }
      database.exec("COMMIT");
      done(null);
    } catch (error) {
      done(error as Error);
    }
  };
  const server = new SMTPServer({
    disabledCommands: ["AUTH", "STARTTLS"],
    disableReverseLookup: true,
    logger: false,
    onData: (stream, session, done) => void store(stream, session, done),
  });
  server.listen(port, "127.0.0.1");
}

const [packagesDir = "", port = "", databasePath = ""] = process.argv.slice(2);
serve(packagesDir, Number(port), databasePath);
