-- Which mails a mailbox has, and with `mail_to` which of them came for one address of it: what the indexes of `mail` were. The first is in
-- two parts, because mail for many mailboxes changed a page of the index for each mail. What is new goes into a part of a few pages
-- and from there, in lots, into the other. A mail is in one of the two; of one mailbox the new part has the newest. The second is in
-- one: where every mail has an address of its own a lot changes a page for each row as well.
CREATE TABLE mailbox_mail (
  user_id INTEGER NOT NULL,
  mailbox_id INTEGER NOT NULL,
  id INTEGER NOT NULL,
  PRIMARY KEY (user_id, mailbox_id, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE new_mailbox_mail (
  user_id INTEGER NOT NULL,
  mailbox_id INTEGER NOT NULL,
  id INTEGER NOT NULL,
  PRIMARY KEY (user_id, mailbox_id, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE address_mail (
  user_id INTEGER NOT NULL,
  mailbox_id INTEGER NOT NULL,
  mail_to TEXT NOT NULL,
  id INTEGER NOT NULL,
  PRIMARY KEY (user_id, mailbox_id, mail_to, id)
) STRICT, WITHOUT ROWID;
INSERT INTO mailbox_mail SELECT user_id, mailbox_id, id FROM mail INDEXED BY mail_mailbox ORDER BY user_id, mailbox_id, id;
INSERT INTO address_mail SELECT user_id, mailbox_id, mail_to, id FROM mail INDEXED BY mail_sub
  WHERE mail_to IS NOT NULL ORDER BY user_id, mailbox_id, mail_to, id;
DROP INDEX mail_mailbox;
DROP INDEX mail_sub;
