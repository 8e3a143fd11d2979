-- Raw mails that came together lie in a file beside the database, one after the other: `raw_size` bytes from `raw_at` on in the file
-- `catmails.db-raw-<raw_file>`. Then `raw` is NULL, and table `raw` has nothing either.
ALTER TABLE message ADD COLUMN raw_file INTEGER;
ALTER TABLE message ADD COLUMN raw_at INTEGER;
ALTER TABLE message ADD COLUMN raw_size INTEGER;
CREATE TABLE raw_file (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  -- Every message that lies in the file has an id from here on, up to last_message.
  first_message INTEGER NOT NULL,
  -- NULL while mail may still be added.
  last_message INTEGER,
  -- When no message lay in it any more.
  dropped_at INTEGER
) STRICT;
-- While one of these is not over no file is removed: somebody copies the database, and then the mails in its files.
CREATE TABLE raw_file_hold (
  id INTEGER PRIMARY KEY,
  until INTEGER NOT NULL
) STRICT;
