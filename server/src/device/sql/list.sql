-- Devices, the last seen first. $1: those of that user; NULL: everybody's. $2: the time, to which sessions may have ended.
SELECT d.id, d.user, d.name, d.platform, d.enrolled_ms,
       max(d.seen_ms, coalesce((SELECT max(s.used_ms) FROM session AS s WHERE s.device = d.num), 0)) AS seen_ms,
       EXISTS (SELECT 1 FROM session AS s WHERE s.device = d.num AND s.expires_ms > $2) AS active,
       r.received_ms, r.body, w.subscribed_ms, w.woken_ms, m.times, m.why, m.last_ms AS mended_ms
FROM device AS d
LEFT JOIN device_report AS r ON r.device = d.num
LEFT JOIN wake_subscription AS w ON w.device = d.num
LEFT JOIN digest_mismatch AS m ON m.device = d.num
WHERE $1 IS NULL OR d.user = $1
ORDER BY 6 DESC, d.num
