SELECT (SELECT count(*) FROM move_follow) + (SELECT count(*) FROM move_job WHERE state = 'open')
