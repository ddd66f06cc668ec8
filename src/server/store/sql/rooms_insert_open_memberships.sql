INSERT INTO memberships
    (user_id, room_id, involvement, last_read_message_id, created_at)
SELECT ?1, id, 'mentions', last_message_id, ?2 FROM rooms
WHERE kind = 'open' AND deleted_at IS NULL
ON CONFLICT DO NOTHING
