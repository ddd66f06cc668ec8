SELECT id, room_id, creator_id, body_html FROM messages
WHERE id <= ?1 AND deleted_at IS NULL ORDER BY id DESC LIMIT ?2
