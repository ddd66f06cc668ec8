SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id AND u.active = 1
WHERE m.user_id = ?1 AND m.room_id = ?2
