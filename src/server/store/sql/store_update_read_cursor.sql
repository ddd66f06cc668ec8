UPDATE memberships SET last_read_message_id =
    min(?3, (SELECT last_message_id FROM sequence))
WHERE user_id = ?1 AND room_id = ?2 AND coalesce(last_read_message_id, 0) <
    min(?3, (SELECT last_message_id FROM sequence))
RETURNING last_read_message_id, (SELECT count(*) FROM mentions mn
    WHERE mn.user_id = ?1 AND mn.room_id = ?2 AND mn.message_id > last_read_message_id)
