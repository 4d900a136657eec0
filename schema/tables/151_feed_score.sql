-- The live stream tells of months too whose scores or assessment somebody changed.
ALTER TABLE onemap.feed_change DROP CONSTRAINT feed_change_layer_check;
ALTER TABLE onemap.feed_change ADD CONSTRAINT feed_change_layer_check CHECK (layer IN ('state', 'alarm', 'case', 'score'));
