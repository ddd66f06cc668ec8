-- The newest message of all when this member marked the room unread. Up to there their own words do
-- not count as having read: somebody may mark what they have answered.
ALTER TABLE memberships ADD COLUMN marked_message_id INTEGER;
