-- Where a mail came from. NULL: a program of this machine handed it over, or it came before this column was.
ALTER TABLE message ADD COLUMN client_ip TEXT;
ALTER TABLE message ADD COLUMN client_helo TEXT;
ALTER TABLE message ADD COLUMN transmission TEXT;

-- What was found out about the sender of a mail, after its commit. Apart from `mail`, so that intake never pays for it.
-- mailbox_id and mail_to as in `mail`, for lists that are limited to one result.
CREATE TABLE mail_sender (
  user_id INTEGER NOT NULL,
  id INTEGER NOT NULL,
  mailbox_id INTEGER NOT NULL,
  mail_to TEXT,
  dmarc TEXT NOT NULL,
  marked INTEGER NOT NULL,
  findings TEXT NOT NULL,
  PRIMARY KEY (user_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX mail_sender_mailbox ON mail_sender (user_id, mailbox_id, dmarc, id);
CREATE INDEX mail_sender_sub ON mail_sender (user_id, mailbox_id, mail_to, dmarc, id) WHERE mail_to IS NOT NULL;

-- Allowed and blocked senders.
CREATE TABLE sender_rule (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  action TEXT NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (action, value)
) STRICT;

ALTER TABLE domain ADD COLUMN dmarc TEXT NOT NULL DEFAULT 'accept';

-- Counts changes of sender_rule and of domain.dmarc.
ALTER TABLE meta ADD COLUMN policy_revision INTEGER NOT NULL DEFAULT 1;
