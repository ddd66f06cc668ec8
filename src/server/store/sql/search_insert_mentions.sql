INSERT INTO mentions (user_id, room_id, message_id, seq)
SELECT ms.user_id, g.room_id, g.id, g.seq FROM json_each(?1) j
JOIN messages g ON g.id = j.value ->> 'message_id'
JOIN memberships ms ON ms.room_id = g.room_id AND ms.user_id = j.value ->> 'user_id'
WHERE ms.user_id <> g.creator_id ON CONFLICT DO NOTHING RETURNING message_id, user_id
