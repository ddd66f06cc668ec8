SELECT id FROM messages WHERE id > ?2 AND deleted_at IS NULL
AND instr(body, '<@' || ?1 || '>') ORDER BY id LIMIT ?3
