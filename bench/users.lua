-- For wrk: each request is of one of so many users, any as likely as another,
-- or, with "in_turn", the next of them.
--
--   wrk ... -s users.lua URL?user= -- USERS [in_turn]
local users, in_turn, before, after
local last = 0

function init(args)
   users, in_turn = tonumber(args[1]), args[2] == "in_turn"
   local text = wrk.format()
   local at = text:find("user=", 1, true) + 4
   before, after = text:sub(1, at), text:sub(at + 1)
   math.randomseed(os.time())
end

function request()
   last = in_turn and last % users + 1 or math.random(users)
   return before .. "u" .. last .. after
end
