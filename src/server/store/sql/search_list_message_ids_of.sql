SELECT id FROM messages WHERE creator_id = ?1 AND id > ?2 AND deleted_at IS NULL
ORDER BY id LIMIT ?3
