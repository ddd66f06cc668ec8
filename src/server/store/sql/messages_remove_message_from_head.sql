UPDATE rooms SET (last_message_id, last_creator_id) =
    (SELECT id, creator_id FROM messages
     WHERE room_id = rooms.id AND deleted_at IS NULL ORDER BY id DESC LIMIT 1)
WHERE id = ?1 RETURNING last_message_id, last_creator_id
