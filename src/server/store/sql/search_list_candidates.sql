SELECT u.id, u.name, u.role, m.user_id IS NOT NULL AS is_member,
       u.id IS (SELECT creator_id FROM rooms WHERE id = ?1) AS is_creator
FROM users u LEFT JOIN memberships m ON m.user_id = u.id AND m.room_id = ?1
WHERE u.active = 1 ORDER BY is_member DESC, is_creator DESC, lower(u.name), u.id LIMIT ?2
