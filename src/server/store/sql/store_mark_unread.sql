UPDATE memberships SET marked_message_id = (SELECT last_message_id FROM sequence),
    last_read_message_id =
        max(0, min(?3, (SELECT last_message_id FROM sequence) + 1) - 1)
WHERE user_id = ?1 AND room_id = ?2
RETURNING last_read_message_id, marked_message_id,
    (SELECT json_group_array(mn.message_id ORDER BY mn.message_id) FROM
        (SELECT message_id FROM mentions WHERE user_id = ?1 AND room_id = ?2
         AND message_id > last_read_message_id ORDER BY message_id DESC LIMIT ?4) mn)
