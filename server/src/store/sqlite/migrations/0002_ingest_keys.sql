-- NULL: a key that reads and manages. Otherwise a key that only hands in mail, for its user's mailboxes or for every one.
ALTER TABLE api_key ADD COLUMN ingest TEXT CHECK (ingest IN ('own', 'every'));
