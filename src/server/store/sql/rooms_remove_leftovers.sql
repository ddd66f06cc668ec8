DELETE FROM messages WHERE id IN (
    SELECT g.id FROM rooms r CROSS JOIN messages g INDEXED BY messages_by_change
        ON g.room_id = r.id
    WHERE r.deleted_at IS NOT NULL LIMIT ?1)
