INSERT INTO memberships
    (user_id, room_id, involvement, last_read_message_id, created_at)
SELECT u.id, r.id, 'mentions', r.last_message_id, ?2 FROM users u
JOIN rooms r ON r.id = ?1 WHERE u.active = 1 AND u.role <> 'bot'
ON CONFLICT DO NOTHING RETURNING user_id
