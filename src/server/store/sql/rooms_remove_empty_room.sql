UPDATE rooms SET deleted_at = ?2
WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM memberships WHERE room_id = ?1)
