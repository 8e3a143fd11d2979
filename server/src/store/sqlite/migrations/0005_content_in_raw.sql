-- Raw as it came, for a message whose content stands in it word for word: then `content` is empty, table `raw` has nothing, and
-- content is the UTF-8 of these bytes, from content_start up to content_end, with LF for each CRLF.
ALTER TABLE message ADD COLUMN raw BLOB;
ALTER TABLE message ADD COLUMN content_start INTEGER;
ALTER TABLE message ADD COLUMN content_end INTEGER;
