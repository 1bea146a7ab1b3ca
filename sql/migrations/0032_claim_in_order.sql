--! compatible
-- A claim reads the first runs of a lane from the index, in their order. A planner that has just seen the queue empty may find it as cheap to
-- read all of the lane, or of the table, and to sort: that plan stays in the connection, and is ruinous when a million runs have come.
alter function longhaul.claim(uuid, integer, text, text[], smallint[], bigint[], integer, integer) set enable_bitmapscan to off;
alter function longhaul.claim(uuid, integer, text, text[], smallint[], bigint[], integer, integer) set enable_seqscan to off;
