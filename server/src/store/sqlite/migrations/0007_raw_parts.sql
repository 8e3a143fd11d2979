-- What a large mail has beyond its first MiB, which is in `raw`: each MiB is a row, the last one what is left. The table has a rowid
-- because a key that stands in front of a blob is compared by reading the blob too, all of it.
CREATE TABLE raw_part (
  -- message.id * 4096 + how many MiB of the mail come before it, from 1 up.
  id INTEGER PRIMARY KEY,
  bytes BLOB NOT NULL
) STRICT;
-- Every piece began at a multiple of 1 MiB, and no mail could have more than 4095 of them.
INSERT INTO raw_part (id, bytes) SELECT message_id * 4096 + start / 1048576, bytes FROM raw_piece ORDER BY message_id, start;
DROP TABLE raw_piece;
