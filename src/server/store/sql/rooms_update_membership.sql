UPDATE memberships SET involvement = ?3, starred = ?4, hidden_message_id = ?5
WHERE user_id = ?1 AND room_id = ?2
