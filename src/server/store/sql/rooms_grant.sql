INSERT INTO memberships
    (user_id, room_id, involvement, last_read_message_id, created_at)
SELECT u.id, r.id, ?3, r.last_message_id, ?4 FROM json_each(?2) j
JOIN users u ON u.id = j.value JOIN rooms r ON r.id = ?1 WHERE u.active = 1
ON CONFLICT DO NOTHING RETURNING user_id
