-- 1: nobody has read the content yet. It is empty here, raw has it, in one row of table `raw`, and `defects` are those of the header.
ALTER TABLE message ADD COLUMN unparsed INTEGER;
