-- What rooms are about, how people keep them in order, and who is mentioned where.

ALTER TABLE rooms ADD COLUMN topic TEXT NOT NULL DEFAULT '';
-- A deleted room has no members from that moment on, so nobody can reach it; its messages are
-- removed a few at a time, because a room may have millions.
ALTER TABLE rooms ADD COLUMN deleted_at INTEGER;

ALTER TABLE memberships ADD COLUMN starred INTEGER NOT NULL DEFAULT 0 CHECK (starred IN (0, 1));
-- The newest message when this member put the (direct) room away. It shows again once the room
-- has a newer one. Zero: put away while empty.
ALTER TABLE memberships ADD COLUMN hidden_message_id INTEGER;

-- Written in the same transaction as the message. By user and room, in order, so that counting
-- what lies after a read cursor reads only what it counts.
CREATE TABLE mentions (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    room_id INTEGER NOT NULL,
    message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, room_id, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX mentions_by_message ON mentions (message_id);
