SELECT * FROM (SELECT u.id, u.name, r.creator_id = ?1, 0 FROM memberships m
JOIN rooms r ON r.id = m.room_id
JOIN memberships a ON a.room_id = m.room_id JOIN users u ON u.id = a.user_id
WHERE m.user_id = ?1 AND m.room_id = ?2 AND u.active = 1
ORDER BY lower(u.name), u.id LIMIT ?3)
UNION ALL SELECT r.id, r.name, 0, 1 FROM memberships m
JOIN rooms r ON r.id = m.room_id WHERE m.user_id = ?1 AND r.kind = 'open'
