SELECT m.id, o.id, o.creator_id, u.name, o.body, o.body_html
FROM json_each(?1) j JOIN messages m ON m.id = j.value
JOIN messages o ON o.id = m.reply_to_id JOIN users u ON u.id = o.creator_id
