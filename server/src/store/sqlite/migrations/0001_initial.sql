-- One row of facts about the whole store.
CREATE TABLE meta (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  revision INTEGER NOT NULL
) STRICT;
INSERT INTO meta (only_row, revision) VALUES (1, 1);

CREATE TABLE user (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  last_mail_id INTEGER NOT NULL DEFAULT 0,
  mail_count INTEGER NOT NULL DEFAULT 0,
  used_bytes INTEGER NOT NULL DEFAULT 0,
  -- meta.revision as it was given to the last change of this user's keys and mailboxes.
  revision INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  removed_at INTEGER
) STRICT;
CREATE INDEX user_revision ON user (revision);
CREATE INDEX user_removed ON user (removed_at) WHERE removed_at IS NOT NULL;

CREATE TABLE domain (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  catch_all_id INTEGER REFERENCES alias (id) ON DELETE SET NULL,
  allows_temp INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX domain_catch_all ON domain (catch_all_id);

-- Every mailbox: main, alias and temp. AUTOINCREMENT, because an id names one incarnation of an address for ever.
CREATE TABLE alias (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id INTEGER NOT NULL REFERENCES user (id),
  domain_id INTEGER NOT NULL,
  address TEXT NOT NULL,
  is_main INTEGER NOT NULL DEFAULT 0,
  is_temp INTEGER NOT NULL DEFAULT 0,
  is_random INTEGER NOT NULL DEFAULT 0,
  expires_at INTEGER,
  deleted_at INTEGER,
  created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX alias_address ON alias (address) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX alias_main ON alias (user_id) WHERE is_main = 1;
CREATE INDEX alias_owner ON alias (user_id, deleted_at);
CREATE INDEX alias_temp ON alias (user_id, expires_at) WHERE is_temp = 1 AND deleted_at IS NULL;
CREATE INDEX alias_domain ON alias (domain_id) WHERE deleted_at IS NULL;
CREATE INDEX alias_expiry ON alias (expires_at) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX alias_deleted ON alias (deleted_at) WHERE deleted_at IS NOT NULL;

-- Addresses that were given up. until NULL: for ever.
CREATE TABLE reserved_address (
  address TEXT PRIMARY KEY,
  user_id INTEGER NOT NULL,
  until INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX reserved_until ON reserved_address (until) WHERE until IS NOT NULL;

CREATE TABLE api_key (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id INTEGER NOT NULL REFERENCES user (id),
  public_id TEXT NOT NULL UNIQUE,
  hash BLOB NOT NULL UNIQUE,
  all_mailboxes INTEGER NOT NULL,
  read_only INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX api_key_owner ON api_key (user_id);

CREATE TABLE api_key_mailbox (
  key_id INTEGER NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
  mailbox_id INTEGER NOT NULL REFERENCES alias (id) ON DELETE CASCADE,
  PRIMARY KEY (key_id, mailbox_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX api_key_mailbox_mailbox ON api_key_mailbox (mailbox_id);

-- What a mail says, once for all its recipients. Raw stands apart so that lists never step over it.
CREATE TABLE message (
  id INTEGER PRIMARY KEY,
  subject TEXT NOT NULL,
  mail_from TEXT NOT NULL,
  envelope_from TEXT NOT NULL,
  content TEXT NOT NULL,
  defects TEXT NOT NULL
) STRICT;

CREATE TABLE raw (
  message_id INTEGER PRIMARY KEY,
  bytes BLOB NOT NULL
) STRICT;

-- Only for messages with several mails: how many are left.
CREATE TABLE message_share (
  message_id INTEGER PRIMARY KEY,
  refs INTEGER NOT NULL
) STRICT;

-- One row per mail: a message as delivered to one mailbox. No foreign keys: this is the hot path of intake, and the
-- writer checks the mailbox in the same transaction. mail_to NULL: the mailbox's own address.
CREATE TABLE mail (
  user_id INTEGER NOT NULL,
  id INTEGER NOT NULL,
  mailbox_id INTEGER NOT NULL,
  message_id INTEGER NOT NULL,
  mail_to TEXT,
  received_at INTEGER NOT NULL,
  size INTEGER NOT NULL,
  PRIMARY KEY (user_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX mail_mailbox ON mail (user_id, mailbox_id, id);
CREATE INDEX mail_sub ON mail (user_id, mailbox_id, mail_to, id) WHERE mail_to IS NOT NULL;
