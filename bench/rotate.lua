-- For wrk: each request is the next line of a file of header lines, from any one on:
-- whoever came last in the run before must not come first again.
--
--   wrk ... -s rotate.lua URL -- FILE
local requests, at = {}, 0

function init(args)
   for line in io.lines(args[1]) do
      local name, value = line:match("^([^:]+): (.*)$")
      requests[#requests + 1] = wrk.format(nil, nil, { [name] = value })
   end
   math.randomseed(os.time())
   at = math.random(#requests)
end

function request()
   at = at % #requests + 1
   return requests[at]
end
