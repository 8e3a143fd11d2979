-- What a large mail has beyond its first piece, which is in `raw`. SQLite needs each value whole in memory, twice.
CREATE TABLE raw_piece (
  message_id INTEGER NOT NULL,
  -- Offset of its first byte.
  start INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (message_id, start)
) STRICT, WITHOUT ROWID;
