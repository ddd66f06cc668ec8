m.involvement, m.starred, (SELECT name FROM users WHERE id = r.creator_id),
CASE r.kind WHEN 'open' THEN '[]' ELSE
    (SELECT json_group_array(json_object('id', id, 'name', name)) FROM
        (SELECT u.id, u.name FROM memberships a JOIN users u ON u.id = a.user_id
         WHERE a.room_id = r.id ORDER BY lower(u.name), u.id LIMIT ?3)) END,
(SELECT count(*) FROM memberships a WHERE a.room_id = r.id)
FROM memberships m JOIN rooms r ON r.id = m.room_id
WHERE m.user_id = ?1 AND m.room_id = ?2
